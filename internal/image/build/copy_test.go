package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/google/go-cmp/cmp"
)

// listing is every path of an image with its kind, mode, owner and content, as a container would see it.
func listing(t testing.TB, s *image.Store, img image.Image) []string {
	t.Helper()
	dirs, err := s.DirsOf(img.Layers)
	if err != nil {
		t.Fatal(err)
	}
	u, err := union.Open(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	return list(t, u, "")
}

func list(t testing.TB, u *union.FS, p string) []string {
	names, err := u.ReadDir(p)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range names {
		e, err := u.Lstat(strings.TrimPrefix(p+"/"+n, "/"))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %o %d:%d", e.Path, e.Stat.Mode&0o7777, e.Stat.Uid, e.Stat.Gid)
		switch {
		case e.IsDir():
			out = append(out, strings.Replace(line, e.Path, e.Path+"/", 1))
			out = append(out, list(t, u, e.Path)...)
			continue
		case e.IsLink():
			to, _ := u.Readlink(e)
			line = e.Path + " -> " + to
		default:
			b, _ := u.ReadFile(e.Path, 1<<20)
			line += " " + string(b)
		}
		out = append(out, line)
	}
	return out
}

func tgz(t testing.TB, names ...string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: n, Mode: 0o600, Uid: 5, Gid: 6, Size: 1}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "t")
	}
	w.Close()
	z.Close()
	return b.String()
}

func TestCopy(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "web") }))
	defer srv.Close()
	for name, c := range map[string]struct {
		dockerfile string
		files      map[string]string
		want       []string
		err        string
	}{
		"file to file":         {"COPY a /b", nil, []string{"b 644 0:0 A"}, ""},
		"file to directory":    {"COPY a /d/", nil, []string{"d/ 755 0:0", "d/a 644 0:0 A"}, ""},
		"relative to workdir":  {"WORKDIR /w\nWORKDIR x\nCOPY a .", nil, []string{"w/ 755 0:0", "w/x/ 755 0:0", "w/x/a 644 0:0 A"}, ""},
		"directory's content":  {"COPY dir /d", nil, []string{"d/ 755 0:0", "d/x 644 0:0 X", "d/y/ 755 0:0", "d/y/z 644 0:0 Z"}, ""},
		"wildcard":             {"COPY ? /d/", nil, []string{"d/ 755 0:0", "d/a 644 0:0 A", "d/b 644 0:0 B"}, ""},
		"several":              {"COPY a b /d/", nil, []string{"d/ 755 0:0", "d/a 644 0:0 A", "d/b 644 0:0 B"}, ""},
		"several to a file":    {"COPY a b /d", nil, nil, "must be a directory and end with a /"},
		"missing":              {"COPY nothing /", nil, nil, `Dockerfile:2: "/nothing": not found in the context`},
		"above the context":    {"COPY ../../a /up", nil, []string{"up 644 0:0 A"}, ""},
		"chown chmod":          {"COPY --chown=7:8 --chmod=4750 a /a\nCOPY --chmod=u=rwx,g=rX,o= b /b", nil, []string{"a 4750 7:8 A", "b 750 0:0 B"}, ""},
		"chown by name":        {"COPY etc /etc\nCOPY --chown=app:grp a /a", map[string]string{"etc/passwd": "root:x:0:0::/:\napp:x:10:20::/:\n", "etc/group": "grp:x:30:\n"}, nil, ""},
		"unknown user":         {"COPY --chown=app a /a", nil, nil, `"app" is not in the image's /etc/passwd`},
		"exclude":              {"COPY --exclude=y dir /d", nil, []string{"d/ 755 0:0", "d/x 644 0:0 X"}, ""},
		"ignore":               {"COPY . /d", map[string]string{".dockerignore": "*\n!dir\ndir/x\n"}, []string{"d/ 755 0:0", "d/dir/ 755 0:0", "d/dir/y/ 755 0:0", "d/dir/y/z 644 0:0 Z"}, ""},
		"heredoc":              {"COPY <<one <<\"two\" /d/\n1$HOME\none\n2$HOME\ntwo", nil, []string{"d/ 755 0:0", "d/one 644 0:0 1\n", "d/two 644 0:0 2$HOME\n"}, ""},
		"archive":              {"ADD t.tgz /d/", map[string]string{"t.tgz": tgz(t, "in/side", ".wh.plain")}, []string{"d/ 755 0:0", "d/.wh.plain 600 5:6 t", "d/in/ 755 0:0", "d/in/side 600 5:6 t"}, ""},
		"archive by COPY":      {"COPY t.tgz /d/", map[string]string{"t.tgz": "not looked at"}, []string{"d/ 755 0:0", "d/t.tgz 644 0:0 not looked at"}, ""},
		"url":                  {"ADD " + srv.URL + "/f /d/", nil, []string{"d/ 755 0:0", "d/f 600 0:0 web"}, ""},
		"url checksum":         {"ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 " + srv.URL + "/f /", nil, nil, "as --checksum says"},
		"git":                  {"ADD https://host/x.git /", nil, nil, "not supported: clone it"},
		"parents":              {"COPY --parents dir/y/z /p/", nil, []string{"p/ 755 0:0", "p/dir/ 755 0:0", "p/dir/y/ 755 0:0", "p/dir/y/z 644 0:0 Z"}, ""},
		"directory over file":  {"COPY a /x\nCOPY dir /x", nil, nil, "cannot copy to non-directory: /x"},
		"link":                 {"COPY a /d/a\nCOPY --link b /d/b", nil, []string{"d/ 755 0:0", "d/a 644 0:0 A", "d/b 644 0:0 B"}, ""},
		"from index":           {"COPY a /1\nFROM scratch\nCOPY --from=0 /1 /2", nil, []string{"2 644 0:0 A"}, ""},
		"through a symlink":    {"COPY links /\nCOPY a /to-etc/passwd", nil, []string{"etc/ 755 0:0", "etc/passwd 644 0:0 A", "to-etc -> etc", "up -> ../../../../../../tmp"}, ""},
		"symlink out":          {"COPY links /\nCOPY a /up/evil", nil, []string{"etc/ 755 0:0", "tmp/ 755 0:0", "tmp/evil 644 0:0 A", "to-etc -> etc", "up -> ../../../../../../tmp"}, ""},
		"keep what is below":   {"COPY dir /d\nCOPY a /d/y/a", nil, []string{"d/ 755 0:0", "d/x 644 0:0 X", "d/y/ 755 0:0", "d/y/a 644 0:0 A", "d/y/z 644 0:0 Z"}, ""},
		"arg in path":          {"ARG F=a\nCOPY ${F} /$F", nil, []string{"a 644 0:0 A"}, ""},
		"unknown instruction":  {"FOO bar", nil, nil, "build: Dockerfile:2: unknown instruction: FOO"},
		"copy to the root dir": {"COPY dir/y /", nil, []string{"z 644 0:0 Z"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			m := map[string]string{"Dockerfile": "FROM scratch\n" + c.dockerfile + "\n", "a": "A", "b": "B", "dir/x": "X", "dir/y/z": "Z"}
			for k, v := range c.files {
				m[k] = v
			}
			dir := files(t, m)
			if strings.Contains(c.dockerfile, "COPY links") {
				if err := os.MkdirAll(filepath.Join(dir, "links/etc"), 0o755); err != nil {
					t.Fatal(err)
				}
				os.Symlink("etc", filepath.Join(dir, "links/to-etc"))
				os.Symlink("../../../../../../tmp", filepath.Join(dir, "links/up"))
			}
			img, err := Build(context.Background(), Options{Store: s, ContextDir: dir})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := listing(t, s, img)
			if name == "chown by name" {
				if !slices.Contains(got, "a 644 10:30 A") {
					t.Error(got)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The union of layers is what overlayfs would show.
func TestUnionIsOverlay(t *testing.T) {
	needRoot(t)
	mk := func(paths ...string) string {
		d := t.TempDir()
		for _, p := range paths {
			full := filepath.Join(d, strings.Trim(p, "/-!"))
			os.MkdirAll(filepath.Dir(full), 0o755)
			switch {
			case strings.HasSuffix(p, "!"):
				os.MkdirAll(full, 0o755)
				if err := syscall.Setxattr(full, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
					t.Fatal(err)
				}
			case strings.HasSuffix(p, "/"):
				os.MkdirAll(full, 0o755)
			case strings.HasSuffix(p, "-"):
				if err := syscall.Mknod(full, syscall.S_IFCHR, 0); err != nil {
					t.Fatal(err)
				}
			default:
				os.WriteFile(full, []byte(d), 0o644)
			}
		}
		return d
	}
	stack := []string{
		mk("a/new", "b-", "c!", "c/only", "e/f/g-", "h", "i/j/"),
		mk("a/x-", "b/back", "c/lost", "e/f!", "e/f/k", "h/under", "i-"),
		mk("a/x", "a/y", "b/lost", "c/lost2", "e/f/lost", "e/m", "i/j/lost", "n/o/p"),
	}
	root := t.TempDir()
	if err := syscall.Mount("overlay", root, "overlay", syscall.MS_RDONLY, "lowerdir="+strings.Join(stack, ":")); err != nil {
		t.Skip("no overlayfs here:", err)
	}
	defer func() {
		if err := syscall.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}()
	var want []string
	filepath.Walk(root, func(p string, fi os.FileInfo, err error) error {
		if rel, _ := filepath.Rel(root, p); rel != "." {
			want = append(want, rel)
		}
		return err
	})
	u, err := union.Open(stack...)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	var got []string
	for _, l := range list(t, u, "") {
		p, _, _ := strings.Cut(l, " ")
		got = append(got, strings.TrimSuffix(p, "/"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
