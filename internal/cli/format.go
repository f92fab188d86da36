package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/template/parse"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// format is docker's --format as far as scripts use it: text, {{.Field.Field}}, {{json .Field}}. Go's own templates are not
// linked: they call methods by name, so the linker would have to keep every method of everything, 7 MB.
type format []parse.Node

// parseFormat reads what follows --format; nil for nothing.
func parseFormat(text string) (format, error) {
	switch text {
	case "":
		return nil, nil
	case "json":
		text = "{{json .}}"
	}
	trees, err := parse.Parse("--format", text, "", "", map[string]any{"json": true})
	if err != nil {
		return nil, fault.New(fault.Invalid, "--format: %w", err)
	}
	var f format
	for _, n := range trees["--format"].Root.Nodes {
		if _, ok := n.(*parse.TextNode); !ok {
			if _, _, ok := fieldOf(n); !ok {
				return nil, fault.New(fault.Invalid, "--format: %s is not understood: only {{.Field.Field}} and {{json .Field}} are; take 'dhow inspect' and jq for more", n)
			}
		}
		f = append(f, n)
	}
	return f, nil
}

// fieldOf is the path that an action names, and whether it is wanted as JSON.
func fieldOf(n parse.Node) (path []string, asJSON, ok bool) {
	action, isAction := n.(*parse.ActionNode)
	if !isAction || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Decl) > 0 {
		return nil, false, false
	}
	args := action.Pipe.Cmds[0].Args
	if id, isFunc := args[0].(*parse.IdentifierNode); isFunc && id.Ident == "json" && len(args) == 2 {
		asJSON, args = true, args[1:]
	}
	if len(args) != 1 {
		return nil, false, false
	}
	switch a := args[0].(type) {
	case *parse.DotNode:
		return nil, asJSON, true
	case *parse.FieldNode:
		return a.Ident, asJSON, true
	}
	return nil, false, false
}

// render writes v, whose fields have the names that they have in JSON.
func (f format) render(v any) (string, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var all any
	if err := d.Decode(&all); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, n := range f {
		if t, ok := n.(*parse.TextNode); ok {
			out.Write(t.Text)
			continue
		}
		path, asJSON, _ := fieldOf(n)
		at := all
		for _, name := range path {
			fields, _ := at.(map[string]any)
			var known bool
			if at, known = fields[name]; !known {
				return "", fault.New(fault.Invalid, "--format: there is no field .%s", strings.Join(path, "."))
			}
		}
		if !asJSON {
			fmt.Fprint(&out, at)
			continue
		}
		b, err := json.Marshal(at)
		if err != nil {
			return "", err
		}
		out.Write(b)
	}
	return out.String(), nil
}
