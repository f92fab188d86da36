package apply

import (
	"fmt"
	"reflect"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// versions converts and makes objects of one kind, as the field managers ask for them. Objects it
// gives out carry their kind and apiVersion.
type versions struct {
	kind    *api.Kind
	parsers []func() typed.ParseableType // by version
}

func newVersions(k *api.Kind) *versions {
	v := &versions{kind: k}
	for i, ver := range k.Versions {
		v.parsers = append(v.parsers, sync.OnceValue(func() typed.ParseableType {
			if k.Custom != nil {
				return customParser(k, i)
			}
			return parserFor(reflect.TypeOf(ver.New()).Elem())
		}))
	}
	return v
}

func (v *versions) index(gvk schema.GroupVersionKind) int {
	for i, ver := range v.kind.Versions {
		if gvk.Kind == v.kind.Kind && ver.GroupVersion() == gvk.GroupVersion() {
			return i
		}
	}
	return -1
}

func (v *versions) gvk(i int) schema.GroupVersionKind {
	return v.kind.Versions[i].GroupVersion().WithKind(v.kind.Kind)
}

// ObjectToTyped implements managedfields.TypeConverter.
func (v *versions) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	i := v.index(gvk)
	if i < 0 {
		return nil, fmt.Errorf("no schema for %s", gvk)
	}
	p := v.parsers[i]()
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return p.FromUnstructured(u.UnstructuredContent(), opts...)
	}
	return p.FromStructured(obj, opts...)
}

// lazy is an object whose content is looked at only when it really has to be converted. Most often the
// field managers ask for no more than its version.
type lazy struct {
	metav1.TypeMeta
	value *typed.TypedValue
}

// DeepCopyObject implements runtime.Object; nobody changes a lazy.
func (l *lazy) DeepCopyObject() runtime.Object { return l }

// TypedToObject implements managedfields.TypeConverter.
func (v *versions) TypedToObject(t *typed.TypedValue) (runtime.Object, error) {
	content := t.AsValue()
	if !content.IsMap() {
		return nil, fmt.Errorf("a %s is not a map", v.kind.Kind)
	}
	l := &lazy{value: t}
	l.APIVersion, l.Kind = text(content.AsMap(), "apiVersion"), text(content.AsMap(), "kind")
	return l, nil
}

func text(m value.Map, name string) string {
	if f, ok := m.Get(name); ok && f.IsString() {
		return f.AsString()
	}
	return ""
}

// ConvertToVersion implements runtime.ObjectConvertor. An object without kind is of the hub version.
func (v *versions) ConvertToVersion(in runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	from := 0
	if gvk := in.GetObjectKind().GroupVersionKind(); !gvk.Empty() {
		if from = v.index(gvk); from < 0 {
			return nil, runtime.NewNotRegisteredErrForKind("apply", gvk)
		}
	}
	all := make([]schema.GroupVersionKind, len(v.kind.Versions))
	for i := range all {
		all[i] = v.gvk(i)
	}
	to := -1
	if gvk, ok := target.KindForGroupVersionKinds(all); ok {
		to = v.index(gvk)
	}
	if to < 0 {
		return nil, runtime.NewNotRegisteredGVKErrForTarget("apply", all[from], target)
	}
	obj, err := v.typed(in, from)
	if err != nil {
		return nil, err
	}
	return v.convert(obj, from, to)
}

func (v *versions) typed(in runtime.Object, version int) (api.Object, error) {
	if l, ok := in.(*lazy); ok {
		content, _ := l.value.AsValue().Unstructured().(map[string]any)
		in = &unstructured.Unstructured{Object: content}
	}
	if u, ok := in.(*unstructured.Unstructured); ok {
		obj := v.kind.Versions[version].New()
		if _, same := obj.(*unstructured.Unstructured); same {
			return u, nil
		}
		return obj, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj)
	}
	return in.(api.Object), nil
}

// convert gives a shallow copy in the other version, with kind and apiVersion.
func (v *versions) convert(obj api.Object, from, to int) (runtime.Object, error) {
	if from != to && v.kind.Versions[from].ToHub != nil {
		hub, err := v.kind.Versions[from].ToHub(obj)
		if err != nil {
			return nil, err
		}
		obj = hub
	}
	if from != to && v.kind.Custom == nil {
		out, err := codec.InVersion(v.kind.Versions[to], obj)
		if err != nil {
			return nil, err
		}
		obj = out.(api.Object)
	}
	if v.kind.Custom != nil {
		return v.kind.Versions[to].FromHub(obj)
	}
	if obj.GetObjectKind().GroupVersionKind() == v.gvk(to) {
		return obj, nil
	}
	out := codec.Shallow(obj)
	out.GetObjectKind().SetGroupVersionKind(v.gvk(to))
	return out, nil
}

// Convert implements runtime.ObjectConvertor; field managers do not use it.
func (v *versions) Convert(in, out, context any) error {
	return fmt.Errorf("apply: Convert is not served")
}

// ConvertFieldLabel implements runtime.ObjectConvertor; field managers do not use it.
func (v *versions) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

// Default implements runtime.ObjectDefaulter.
func (v *versions) Default(in runtime.Object) {
	if obj, ok := in.(api.Object); ok && v.kind.Default != nil && reflect.TypeOf(in) == reflect.TypeOf(v.kind.Hub().New()) {
		v.kind.Default(obj)
	}
}

// New implements runtime.ObjectCreater.
func (v *versions) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	i := v.index(gvk)
	if i < 0 {
		return nil, runtime.NewNotRegisteredErrForKind("apply", gvk)
	}
	obj := v.kind.Versions[i].New()
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj, nil
}
