package apiserver

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/dhow-project/dhow/internal/api"
)

// filter is what a list or watch selects, beyond the namespace.
type filter struct {
	namespace string
	name      string // exact, when not empty
	labels    labels.Selector
	fields    []fieldTest
}

type fieldTest struct {
	get   func(api.Object) string
	value string
	not   bool
}

// newFilter compiles selectors; a field that the kind does not offer is a bad request.
func newFilter(k *api.Kind, namespace, name, label, field string) (*filter, error) {
	f := &filter{namespace: namespace, name: name}
	if label != "" {
		sel, err := labels.Parse(label)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if !sel.Empty() {
			f.labels = sel
		}
	}
	if field == "" {
		return f, nil
	}
	sel, err := fields.ParseSelector(field)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	for _, req := range sel.Requirements() {
		get := fieldOf(k, req.Field)
		if get == nil {
			return nil, apierrors.NewBadRequest(unknownField(k, req.Field))
		}
		f.fields = append(f.fields, fieldTest{get, req.Value, req.Operator == selection.NotEquals})
		if req.Field == "metadata.name" && req.Operator != selection.NotEquals && f.name == "" {
			f.name = req.Value
		}
	}
	return f, nil
}

func fieldOf(k *api.Kind, name string) func(api.Object) string {
	switch name {
	case "metadata.name":
		return func(o api.Object) string { return o.GetName() }
	case "metadata.namespace":
		if k.Namespaced {
			return func(o api.Object) string { return o.GetNamespace() }
		}
	}
	return k.Fields[name]
}

func unknownField(k *api.Kind, name string) string {
	if len(k.Fields) > 0 {
		return "field label not supported: " + name
	}
	return fmt.Sprintf(`%q is not a known field selector: only "metadata.name", "metadata.namespace"`, name)
}

// everything reports that nothing but the namespace selects.
func (f *filter) everything() bool { return f.name == "" && f.labels == nil && len(f.fields) == 0 }

func (f *filter) match(o api.Object) bool {
	if f.namespace != "" && o.GetNamespace() != f.namespace {
		return false
	}
	if f.name != "" && o.GetName() != f.name {
		return false
	}
	if f.labels != nil && !f.labels.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	for _, t := range f.fields {
		if (t.get(o) == t.value) == t.not {
			return false
		}
	}
	return true
}
