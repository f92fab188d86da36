package policy

import (
	"context"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const mutatingName = "MutatingAdmissionPolicy"

// Merger merges apply configurations into objects; live and the result carry their kind.
type Merger interface {
	Merge(k *api.Kind, live api.Object, config map[string]any) (api.Object, error)
}

// Mutating is the step of MutatingAdmissionPolicies. Call it before the server starts.
func Mutating(r request.Reader, z request.Authorizer, m Merger) request.Step {
	p := &mutating{source: source[*mutations]{reader: r}, authz: z, merger: m}
	p.define = func(o api.Object) definition[*mutations] {
		p := o.(*admissionregistrationv1.MutatingAdmissionPolicy)
		s := &p.Spec
		return define(p.Name, s.FailurePolicy, s.MatchConstraints, s.ParamKind, func() *mutations { return compileMutations(s) })
	}
	p.bind = func(o api.Object) (string, binding) {
		b := o.(*admissionregistrationv1.MutatingAdmissionPolicyBinding)
		return b.Spec.PolicyName, bindingOf(b.Name, b.Spec.MatchResources, b.Spec.ParamRef)
	}
	step := request.Step{Name: mutatingName}
	if p.follow("mutatingadmissionpolicies", "mutatingadmissionpolicybindings") {
		step.Mutate = p.mutate
	}
	return step
}

type mutating struct {
	source[*mutations]
	authz  request.Authorizer
	merger Merger
	bodies bodies
}

func (m *mutating) mutate(ctx context.Context, w *request.Write) error {
	list := m.bound()
	if len(list) == 0 || exempt(w.Kind) || w.Operation == request.Delete {
		return nil
	}
	t := match.Of(w)
	found := m.invocations(t, list)
	if len(found) == 0 {
		return nil
	}
	ns, err := m.namespaceOf(t)
	if err != nil {
		return err
	}
	views := &inputs{write: w, target: t, namespace: ns, authz: m.authz}
	again := reinvocationOf(w)
	if w.Pass > 1 && again.changedSince(t.Object) {
		again.require()
	}
	var refused []string
	for i := range found {
		wrong, err := m.invoke(ctx, &found[i], views, again)
		if err != nil {
			return err
		}
		refused = append(refused, wrong...)
	}
	again.remember(t.Object)
	if len(refused) > 0 {
		return denied(t, refused)
	}
	return nil
}

// invoke lets one policy change the object, once for each of its parameters. It gives what the policy's failurePolicy
// makes a refusal; an error refuses whatever that says.
func (m *mutating) invoke(ctx context.Context, i *invocation[*mutations], views *inputs, again *reinvocation) (refused []string, err error) {
	add := func(err error) {
		if !i.policy.ignore {
			refused = append(refused, i.refusal(err))
		}
	}
	if i.err != nil {
		if i.binding == nil {
			add(fmt.Errorf("failed to configure policy: %w", i.err))
		} else {
			add(fmt.Errorf("failed to configure binding: %w", i.err))
		}
		return refused, nil
	}
	code := i.policy.code()
	for _, params := range i.params {
		in, err := views.of(i.as)
		if err != nil {
			add(fmt.Errorf("failed to configure policy: %w", err))
			continue
		}
		ok, err := code.conditions.Match(ctx, in, params, code.variables)
		if err != nil {
			add(err)
		}
		key := keyOf(i, params)
		if err != nil || !ok || views.write.Pass > 1 && !again.due[key] {
			continue
		}
		before := in.Object
		for n := range code.list {
			if in.Object == nil {
				break
			}
			out, err := code.list[n].patch(ctx, m, in, params, code.variables)
			if err == nil {
				err = views.put(in, out)
				views.write.Again = true
				again.dirty = true
			}
			var status apierrors.APIStatus
			if errors.As(err, &status) {
				return nil, err
			} else if err != nil {
				add(err)
			}
		}
		if before != nil && !equality.Semantic.DeepEqual(before, in.Object) {
			again.require()
		}
		if code.reinvoke {
			again.invoked(key)
		}
	}
	return refused, nil
}

func (i *invocation[C]) refusal(err error) string {
	if i.binding == nil {
		return fmt.Sprintf("policy %q denied request: %s", i.policy.name, err)
	}
	return fmt.Sprintf("policy '%s' with binding '%s' denied request: %s", i.policy.name, i.binding.name, err)
}

func denied(t *match.Target, why []string) error {
	err := forbidden(t, errors.New("admission request denied by policy"))
	err.ErrStatus.Message, err.ErrStatus.Reason = why[0], metav1.StatusReasonInvalid
	for _, s := range why {
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: s})
	}
	return err
}

// reinvocation is what the second pass has to know of the first (KEP-492): policies that may run again do so when
// the object was changed after them.
type reinvocation struct {
	last     runtime.Object
	previous map[invoked]bool
	due      map[invoked]bool
	dirty    bool
}

// invoked is a policy with one of its bindings and parameters.
type invoked struct{ policy, binding, namespace, param string }

func keyOf(i *invocation[*mutations], params runtime.Object) invoked {
	k := invoked{policy: i.policy.name, binding: i.binding.name}
	if o, ok := params.(metav1.Object); ok {
		k.namespace, k.param = o.GetNamespace(), o.GetName()
	}
	return k
}

func reinvocationOf(w *request.Write) *reinvocation {
	if r, ok := w.Kept[mutatingName].(*reinvocation); ok {
		return r
	}
	r := &reinvocation{previous: map[invoked]bool{}, due: map[invoked]bool{}}
	w.Keep(mutatingName, r)
	return r
}

func (r *reinvocation) changedSince(o runtime.Object) bool {
	return !equality.Semantic.DeepEqual(r.last, o)
}

func (r *reinvocation) invoked(k invoked) { r.previous[k] = true }

// require makes all that ran run again.
func (r *reinvocation) require() {
	for k := range r.previous {
		r.due[k] = true
	}
	clear(r.previous)
}

// remember ends a pass with the object as it is.
func (r *reinvocation) remember(o runtime.Object) {
	if r.dirty {
		r.require()
	}
	r.last = nil
	if o != nil {
		r.last = o.DeepCopyObject()
	}
}
