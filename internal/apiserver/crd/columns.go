package crd

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/util/jsonpath"

	"github.com/dhow-project/dhow/internal/api"
)

// columns are those of `kubectl get`: the name and what the definition asks for, else the age. A path that cannot be
// read leaves the name alone.
func columns(spec []apiextensionsv1.CustomResourceColumnDefinition) ([]metav1.TableColumnDefinition, func(api.Object, time.Time) []any) {
	if len(spec) == 0 {
		spec = []apiextensionsv1.CustomResourceColumnDefinition{{
			Name: "Age", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"], JSONPath: ".metadata.creationTimestamp"}}
	}
	heads := []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}}
	var paths []string
	for _, c := range spec {
		if _, err := parse(c.JSONPath); err != nil {
			break
		}
		text := c.Description
		if text == "" {
			text = "Custom resource definition column (in JSONPath format): " + c.JSONPath
		}
		heads = append(heads, metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: text, Priority: c.Priority})
		paths = append(paths, c.JSONPath)
	}
	return heads, func(o api.Object, now time.Time) []any {
		cells := []any{o.GetName()}
		for i, p := range paths {
			cells = append(cells, cell(o.(*unstructured.Unstructured), p, heads[i+1].Type, now))
		}
		return cells
	}
}

// parse makes a reader of a path. A reader keeps state while it reads, so each use needs its own.
func parse(at string) (*jsonpath.JSONPath, error) {
	p := jsonpath.New("column").AllowMissingKeys(true)
	return p, p.Parse("{" + at + "}")
}

// find is the first value at a path, nil when there is none.
func find(u *unstructured.Unstructured, p *jsonpath.JSONPath) any {
	found, err := p.FindResults(u.Object)
	if err != nil || len(found) == 0 || len(found[0]) == 0 || !found[0][0].IsValid() {
		return nil
	}
	return found[0][0].Interface()
}

func cell(u *unstructured.Unstructured, at, typ string, now time.Time) any {
	p, err := parse(at)
	if err != nil {
		return nil
	}
	v := find(u, p)
	if v == nil {
		return nil
	}
	switch typ {
	case "string":
		var b bytes.Buffer
		if p.PrintResults(&b, []reflect.Value{reflect.ValueOf(v)}) != nil {
			return nil
		}
		return b.String()
	case "integer":
		switch n := v.(type) {
		case int64:
			return n
		case float64:
			return int64(n)
		}
	case "number":
		switch n := v.(type) {
		case int64:
			return float64(n)
		case float64:
			return n
		}
	case "boolean":
		if b, ok := v.(bool); ok {
			return b
		}
	case "date":
		return date(v, now)
	}
	return nil
}

// date is how long ago a time was.
func date(v any, now time.Time) any {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	var t metav1.Time
	if t.UnmarshalQueryParameter(s) != nil {
		return "<invalid>"
	}
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// selectableFields reads what field selectors may ask for (KEP-4358).
func selectableFields(spec []apiextensionsv1.SelectableField) map[string]func(api.Object) string {
	if len(spec) == 0 {
		return nil
	}
	out := map[string]func(api.Object) string{}
	for _, f := range spec {
		at := path(f.JSONPath)
		name := f.JSONPath
		if name[0] == '.' {
			name = name[1:]
		}
		out[name] = func(o api.Object) string {
			v, found, err := unstructured.NestedFieldNoCopy(o.(*unstructured.Unstructured).Object, at...)
			if err != nil || !found || v == nil {
				return ""
			}
			return fmt.Sprint(v)
		}
	}
	return out
}
