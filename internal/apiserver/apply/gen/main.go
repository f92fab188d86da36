// Command gen reads the comment markers of the API types' source (+listType,
// +listMapKey, +structType, +mapType, +default) and writes them as the table
// that package apply embeds. Run it with `go generate` when k8s.io/api changes.
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	var lines []string
	for _, mod := range []string{"k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator"} {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", mod).Output()
		if err != nil || len(strings.TrimSpace(string(dir))) == 0 {
			continue // not a dependency
		}
		lines = append(lines, module(mod, strings.TrimSpace(string(dir)))...)
	}
	sort.Strings(lines)
	f, err := os.Create("markers.txt")
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

func module(mod, dir string) (lines []string) {
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") || strings.Contains(d.Name(), "generated") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(p))
		if err != nil {
			return err
		}
		lines = append(lines, file(filepath.ToSlash(filepath.Join(mod, rel)), f)...)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	return lines
}

func file(pkg string, f *ast.File) (lines []string) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			t := s.(*ast.TypeSpec)
			doc := t.Doc
			if doc == nil {
				doc = g.Doc
			}
			name := pkg + "." + t.Name.Name
			if m := markers(doc); m != "" {
				lines = append(lines, name+" "+m)
			}
			st, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, fl := range st.Fields.List {
				m := markers(fl.Doc)
				if m == "" || len(fl.Names) == 0 {
					continue
				}
				lines = append(lines, name+"."+fl.Names[0].Name+" "+m)
			}
		}
	}
	return lines
}

// markers are the ones that matter for merging, as space-separated words: list=map key=name key=x map=atomic default="TCP".
func markers(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	var out []string
	for _, c := range doc.List {
		text := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
		for prefix, word := range map[string]string{
			"+listType=": "list=", "+listMapKey=": "key=", "+structType=": "map=", "+mapType=": "map=", "+default=": "default=",
		} {
			if v, ok := strings.CutPrefix(text, prefix); ok && !strings.ContainsAny(v, " \t") {
				out = append(out, word+v)
			}
		}
	}
	return strings.Join(out, " ")
}
