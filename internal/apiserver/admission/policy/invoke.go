package policy

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/evaluate"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

var errNoConstraints = errors.New("policy contained no match constraints, a required field")

// invocation is a policy that is about a write through one of its bindings, or what is wrong with it.
type invocation[C any] struct {
	policy  *definition[C]
	binding *binding // nil when the policy itself is wrong
	as      match.As
	params  []runtime.Object // one nil when the policy has none
	err     error
}

// invocations finds all that is about t, in order.
func (s *source[C]) invocations(t *match.Target, list []definition[C]) (out []invocation[C]) {
	for i := range list {
		d := &list[i]
		as, ok, err := matches(d.rules, d.broken, t, s.namespace)
		if err == nil && ok {
			_, _, err = s.paramKind(d)
		}
		if err != nil {
			out = append(out, invocation[C]{policy: d, err: err})
			continue
		}
		if !ok {
			continue
		}
		for j := range d.bindings {
			b := &d.bindings[j]
			in := invocation[C]{policy: d, binding: b, as: as}
			ok := true
			if b.rules != nil || b.broken != nil {
				_, ok, in.err = matches(b.rules, b.broken, t, s.namespace)
			}
			if ok && in.err == nil {
				in.params, in.err = s.params(d, b.params, t.Namespace)
			}
			if in.err != nil || len(in.params) > 0 {
				out = append(out, in)
			}
		}
	}
	return out
}

func matches(r *match.Rules, broken error, t *match.Target, find match.Namespaces) (match.As, bool, error) {
	if broken != nil {
		return match.As{}, false, broken
	}
	return r.Match(t, find)
}

func (s *source[C]) namespace(name string) (*corev1.Namespace, bool) {
	k := s.reader.Registry().Resource(corev1.Resource("namespaces"))
	if k == nil {
		return nil, false
	}
	o, ok := s.reader.Get(k, "", name)
	if !ok {
		return nil, false
	}
	ns, ok := o.(*corev1.Namespace)
	return ns, ok
}

// namespaceOf is the namespace that expressions see: none for a namespace itself.
func (s *source[C]) namespaceOf(t *match.Target) (*corev1.Namespace, error) {
	if t.Namespace == "" || t.Kind == (schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}) {
		return nil, nil
	}
	ns, ok := s.namespace(t.Namespace)
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), t.Namespace)
	}
	return ns, nil
}

// inputs are the views of one write, by the resource it was matched as.
type inputs struct {
	write     *request.Write
	target    *match.Target
	namespace *corev1.Namespace
	authz     request.Authorizer
	made      map[schema.GroupVersionResource]*evaluate.Input
}

func (i *inputs) of(as match.As) (*evaluate.Input, error) {
	if in := i.made[as.Resource]; in != nil {
		return in, nil
	}
	in, err := evaluate.NewInput(i.write, i.target, as, i.namespace, i.authz)
	if err != nil {
		return nil, fmt.Errorf("failed to convert object version: %w", err)
	}
	if i.made == nil {
		i.made = map[schema.GroupVersionResource]*evaluate.Input{}
	}
	i.made[as.Resource] = in
	return in, nil
}

// name of what is written, for an answer.
func nameOf(t *match.Target) string {
	if t.Name != "" {
		return t.Name
	}
	if o, ok := t.Object.(api.Object); ok && o.GetGenerateName() != "" {
		return o.GetGenerateName()
	}
	return "Unknown!"
}

func forbidden(t *match.Target, err error) *apierrors.StatusError {
	return apierrors.NewForbidden(t.Resource.GroupResource(), nameOf(t), err)
}
