package apiserver

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

// filter is what a list or watch selects, beyond the namespace.
type filter struct {
	namespace string
	name      string // exact, when not empty
	labels    labels.Selector
	fields    []fieldTest
	custom    *api.Version // read fields in this version
}

type fieldTest struct {
	get   func(api.Object) string
	value string
	not   bool
}

// newFilter compiles selectors; a field that the kind does not offer is a bad request.
func newFilter(k *api.Kind, version int, namespace, name, label, field string) (*filter, error) {
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
		get := fieldOf(k, version, req.Field)
		if get == nil {
			return nil, apierrors.NewBadRequest(unknownField(k, version, req.Field))
		}
		if k.Custom != nil {
			f.custom = &k.Versions[version]
		}
		f.fields = append(f.fields, fieldTest{get, req.Value, req.Operator == selection.NotEquals})
		if req.Field == "metadata.name" && req.Operator != selection.NotEquals && f.name == "" {
			f.name = req.Value
		}
	}
	return f, nil
}

func fieldOf(k *api.Kind, version int, name string) func(api.Object) string {
	switch name {
	case "metadata.name":
		return func(o api.Object) string { return o.GetName() }
	case "metadata.namespace":
		if k.Namespaced {
			return func(o api.Object) string { return o.GetNamespace() }
		}
	}
	return k.FieldsOf(version)[name]
}

func unknownField(k *api.Kind, version int, name string) string {
	if len(k.FieldsOf(version)) > 0 || k.Custom != nil {
		return "field label not supported: " + name
	}
	return fmt.Sprintf(`%q is not a known field selector: only "metadata.name", "metadata.namespace"`, name)
}

// everything reports that nothing but the namespace selects.
func (f *filter) everything() bool { return f.name == "" && f.labels == nil && len(f.fields) == 0 }

// prepare converts together what match would convert one by one.
func (f *filter) prepare(c *call, tree *cache.Tree) error {
	if f.custom == nil || !c.kind.Custom.ByWebhook {
		return nil
	}
	var all []*cache.Entry
	cache.Range(tree, c.namespace, "", func(e *cache.Entry) bool { all = append(all, e); return true })
	return cache.Convert(c.ctx, c.kind, c.version, all)
}

func (f *filter) match(e *cache.Entry) bool {
	o := e.Obj
	if f.namespace != "" && o.GetNamespace() != f.namespace {
		return false
	}
	if f.name != "" && o.GetName() != f.name {
		return false
	}
	if f.labels != nil && !f.labels.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	if f.custom != nil {
		var err error
		if o, err = e.In(*f.custom); err != nil {
			return false // a list has failed before; a watch cannot say more
		}
	}
	for _, t := range f.fields {
		if (t.get(o) == t.value) == t.not {
			return false
		}
	}
	return true
}
