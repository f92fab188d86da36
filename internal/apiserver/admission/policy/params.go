package policy

import (
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// paramKind finds what a policy's parameters are; nil when it has none. Custom resources come and go: it is looked up each time.
func (s *source[C]) paramKind(d *definition[C]) (*api.Kind, api.Version, error) {
	if d.params == nil {
		return nil, api.Version{}, nil
	}
	return kindOf(s.reader.Registry(), d.params)
}

// kindOf finds the kind and version that a paramKind names.
func kindOf(registry *api.Registry, p *admissionregistrationv1.ParamKind) (*api.Kind, api.Version, error) {
	gv, err := schema.ParseGroupVersion(p.APIVersion)
	if err != nil {
		return nil, api.Version{}, fmt.Errorf("failed to parse paramKind APIVersion: %w", err)
	}
	gvk := gv.WithKind(p.Kind)
	if k := registry.Kind(gvk.GroupKind()); k != nil && !k.Virtual {
		for _, v := range k.Versions {
			if v.GroupVersion() == gv {
				return k, v, nil
			}
		}
	}
	return nil, api.Version{}, fmt.Errorf("failed to find resource referenced by paramKind: '%v'", gvk)
}

// params are the parameters that a binding names: one nil when there is nothing to name; none when they are missing
// and need not be there.
func (s *source[C]) params(d *definition[C], ref *admissionregistrationv1.ParamRef, namespace string) ([]runtime.Object, error) {
	k, v, err := s.paramKind(d)
	if err != nil {
		return nil, err
	}
	if k == nil || ref == nil {
		return []runtime.Object{nil}, nil
	}
	switch {
	case !k.Namespaced && ref.Namespace != "":
		return nil, errors.New("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
	case !k.Namespaced:
		namespace = ""
	case ref.Namespace != "":
		namespace = ref.Namespace
	case namespace == "":
		return nil, errors.New("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
	}
	found, err := s.find(k, ref, namespace)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && ref.ParameterNotFoundAction != nil && *ref.ParameterNotFoundAction == admissionregistrationv1.DenyAction {
		return nil, errors.New("no params found for policy binding with `Deny` parameterNotFoundAction")
	}
	out := make([]runtime.Object, len(found))
	for i, o := range found {
		if out[i], err = param(o, v, k.Kind); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *source[C]) find(k *api.Kind, ref *admissionregistrationv1.ParamRef, namespace string) (out []api.Object, err error) {
	switch {
	case ref.Name != "" && ref.Selector != nil:
		return nil, errors.New("paramRef.name and paramRef.selector are mutually exclusive")
	case ref.Name != "":
		if o, ok := s.reader.Get(k, namespace, ref.Name); ok {
			out = append(out, o)
		}
		return out, nil
	case ref.Selector == nil:
		return nil, errors.New("one of name or selector must be provided")
	}
	selector, err := metav1.LabelSelectorAsSelector(ref.Selector)
	if err != nil {
		return nil, err
	}
	s.reader.Each(k, namespace, func(o api.Object) bool {
		if selector.Matches(labels.Set(o.GetLabels())) {
			out = append(out, o)
		}
		return true
	})
	return out, nil
}

// param is an object in the version asked for, with its kind.
func param(o api.Object, v api.Version, kind string) (runtime.Object, error) {
	out, err := codec.InVersion(v, o)
	if err != nil {
		return nil, err
	}
	gvk := v.GroupVersion().WithKind(kind)
	if c, ok := out.(api.Object); ok && c.GetObjectKind().GroupVersionKind() != gvk {
		c = codec.Shallow(c)
		c.GetObjectKind().SetGroupVersionKind(gvk)
		return c, nil
	}
	return out, nil
}
