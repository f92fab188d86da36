// Package policy runs ValidatingAdmissionPolicies and MutatingAdmissionPolicies
// (KEP-3488, KEP-3962) as steps of admission.
//
// source.go is the live view of policies and their bindings, invoke.go finds
// those that are about a write, validate.go and mutate.go do what they say.
// Expressions are compiled by api/expression and run by admission/evaluate.
// It must not know the server. Read source.go first.
package policy

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// definition is a policy that is bound; C is its compiled expressions.
type definition[C any] struct {
	name     string
	ignore   bool // failurePolicy
	params   *admissionregistrationv1.ParamKind
	rules    *match.Rules
	broken   error // in rules
	bindings []binding
	code     func() C
}

type binding struct {
	name    string
	rules   *match.Rules // nil: everything
	broken  error
	params  *admissionregistrationv1.ParamRef
	actions []admissionregistrationv1.ValidationAction
}

// source is the live view of one kind of policies. A write costs it two loads when there are none.
type source[C any] struct {
	reader           request.Reader
	policies, bounds *api.Kind
	define           func(api.Object) definition[C] // without bindings
	bind             func(api.Object) (policy string, b binding)
	changes          atomic.Uint64
	now              atomic.Pointer[snapshot[C]]
	mu               sync.Mutex // while a snapshot is made
	compiled         map[types.UID]compiled[C]
}

type snapshot[C any] struct {
	changes uint64
	list    []definition[C]
}

// compiled is reused as long as the policy's spec is the same; it is compiled when first needed.
type compiled[C any] struct {
	generation int64
	code       func() C
}

// follow listens for changes; call it before the server starts. It reports whether the kinds are served.
func (s *source[C]) follow(policies, bindings string) bool {
	s.policies = s.reader.Registry().Resource(schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: policies})
	s.bounds = s.reader.Registry().Resource(schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: bindings})
	if s.policies == nil || s.bounds == nil {
		return false
	}
	changed := func(_, _ api.Object) { s.changes.Add(1) }
	s.reader.OnChange(s.policies, changed)
	s.reader.OnChange(s.bounds, changed)
	return true
}

// bound are the policies with bindings, both in order of their names.
func (s *source[C]) bound() []definition[C] {
	n := s.changes.Load()
	if have := s.now.Load(); have != nil && have.changes == n {
		return have.list
	}
	return s.load()
}

func (s *source[C]) load() []definition[C] {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Counted before reading: what changes meanwhile is read next time.
	next := &snapshot[C]{changes: s.changes.Load()}
	if have := s.now.Load(); have != nil && have.changes == next.changes {
		return have.list
	}
	of := map[string][]binding{}
	s.reader.Each(s.bounds, "", func(o api.Object) bool {
		name, b := s.bind(o)
		of[name] = append(of[name], b)
		return true
	})
	kept := map[types.UID]compiled[C]{}
	s.reader.Each(s.policies, "", func(o api.Object) bool {
		if len(of[o.GetName()]) == 0 {
			return true
		}
		d := s.define(o)
		d.bindings = of[d.name]
		c, ok := s.compiled[o.GetUID()]
		if !ok || c.generation != o.GetGeneration() {
			c = compiled[C]{o.GetGeneration(), d.code}
		}
		d.code, kept[o.GetUID()] = c.code, c
		next.list = append(next.list, d)
		return true
	})
	slices.SortFunc(next.list, func(a, b definition[C]) int { return cmp.Compare(a.name, b.name) })
	s.compiled = kept
	s.now.Store(next)
	return next.list
}

// exempt are writes that no policy may intercept: those to the configuration of admission, and the reviews that
// policies themselves may lead to.
func exempt(k *api.Kind) bool {
	if match.Exempt(k) {
		return true
	}
	return k.Virtual && (k.Hub().Group == "authentication.k8s.io" || k.Hub().Group == "authorization.k8s.io")
}

func bindingOf(name string, m *admissionregistrationv1.MatchResources, ref *admissionregistrationv1.ParamRef) binding {
	b := binding{name: name, params: ref}
	if m != nil {
		b.rules, b.broken = match.Resources(m)
	}
	return b
}

// define fills in what both kinds of policies have.
func define[C any](name string, fail *admissionregistrationv1.FailurePolicyType, m *admissionregistrationv1.MatchResources, p *admissionregistrationv1.ParamKind, code func() C) definition[C] {
	d := definition[C]{name: name, ignore: fail != nil && *fail == admissionregistrationv1.Ignore, params: p, code: sync.OnceValue(code)}
	if m == nil {
		d.broken = errNoConstraints
		return d
	}
	d.rules, d.broken = match.Resources(m)
	return d
}
