package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Validating is the step of ValidatingAdmissionPolicies. Call it before the server starts.
func Validating(r request.Reader, z request.Authorizer) request.Step {
	v := &validating{source: source[*rulings]{reader: r}, authz: z}
	v.define = func(o api.Object) definition[*rulings] {
		p := o.(*admissionregistrationv1.ValidatingAdmissionPolicy)
		s := &p.Spec
		return define(p.Name, s.FailurePolicy, s.MatchConstraints, s.ParamKind, func() *rulings { return compileRulings(s) })
	}
	v.bind = func(o api.Object) (string, binding) {
		b := o.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
		out := bindingOf(b.Name, b.Spec.MatchResources, b.Spec.ParamRef)
		out.actions = b.Spec.ValidationActions
		return b.Spec.PolicyName, out
	}
	step := request.Step{Name: "ValidatingAdmissionPolicy"}
	if v.follow("validatingadmissionpolicies", "validatingadmissionpolicybindings") {
		step.Check = v.check
	}
	return step
}

type validating struct {
	source[*rulings]
	authz request.Authorizer
}

// denial is why a write is refused.
type denial struct {
	policy, binding string
	message         string
	reason          metav1.StatusReason
}

func (d denial) Error() string {
	if d.binding == "" {
		return fmt.Sprintf("ValidatingAdmissionPolicy '%s' denied request: %s", d.policy, d.message)
	}
	return fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", d.policy, d.binding, d.message)
}

func (v *validating) check(ctx context.Context, w *request.Write) error {
	if match.Exempt(w.Kind) {
		return readers{v.reader, v.authz}.check(ctx, w)
	}
	list := v.bound()
	if len(list) == 0 || exempt(w.Kind) {
		return nil
	}
	t := match.Of(w)
	found := v.invocations(t, list)
	if len(found) == 0 {
		return nil
	}
	ns, err := v.namespaceOf(t)
	if err != nil {
		return err
	}
	views := &inputs{write: w, target: t, namespace: ns, authz: v.authz}
	var denials []denial
	notes := annotations{}
	for i := range found {
		denials = append(denials, v.invoke(ctx, &found[i], views, notes)...)
	}
	notes.publish(w)
	if len(denials) == 0 {
		return nil
	}
	return refusal(t, denials[0])
}

// invoke asks one policy about each of its parameters.
func (v *validating) invoke(ctx context.Context, i *invocation[*rulings], views *inputs, notes annotations) []denial {
	if i.err != nil {
		return misconfigured(i, i.err)
	}
	in, err := views.of(i.as)
	if err != nil {
		return misconfigured(i, err)
	}
	code := i.policy.code()
	var out []denial
	for _, p := range i.params {
		decisions, notable, wrong := code.decide(ctx, in, p, i.policy.ignore)
		out = append(out, v.act(i, decisions, views.write)...)
		for _, n := range notable {
			notes.add(i.policy.name, n.key, n.value)
		}
		for _, message := range wrong {
			out = append(out, denial{i.policy.name, i.binding.name, message, ""})
		}
	}
	return out
}

// act does with what was denied what the binding says.
func (v *validating) act(i *invocation[*rulings], decisions []decision, w *request.Write) (out []denial) {
	for n, d := range decisions {
		if !d.deny {
			continue
		}
		for _, a := range i.binding.actions {
			switch a {
			case admissionregistrationv1.Deny:
				out = append(out, denial{i.policy.name, i.binding.name, d.message, d.reason})
			case admissionregistrationv1.Warn:
				w.Warnings = append(w.Warnings, fmt.Sprintf("Validation failed for ValidatingAdmissionPolicy '%s' with binding '%s': %s",
					i.policy.name, i.binding.name, d.message))
			case admissionregistrationv1.Audit:
				w.Annotate("validation.policy.admission.k8s.io/validation_failure", failure(i, n, d))
			}
		}
	}
	return out
}

// failure is the value of the audit annotation: a list, as more than one may come to be told.
func failure(i *invocation[*rulings], index int, d decision) string {
	out, err := json.Marshal([]struct {
		Message           string                                     `json:"message"`
		Policy            string                                     `json:"policy"`
		Binding           string                                     `json:"binding"`
		ExpressionIndex   int                                        `json:"expressionIndex"`
		ValidationActions []admissionregistrationv1.ValidationAction `json:"validationActions"`
	}{{d.message, i.policy.name, i.binding.name, index, i.binding.actions}})
	if err != nil {
		return ""
	}
	return string(out)
}

func misconfigured(i *invocation[*rulings], err error) []denial {
	switch {
	case i.policy.ignore:
		return nil
	case i.binding == nil:
		return []denial{{policy: i.policy.name, message: "failed to configure policy: " + err.Error()}}
	}
	return []denial{{policy: i.policy.name, binding: i.binding.name, message: "failed to configure binding: " + err.Error()}}
}

// refusal answers with the first denial.
func refusal(t *match.Target, d denial) error {
	err := forbidden(t, errors.New(d.Error()))
	err.ErrStatus.Reason = d.reason
	if d.reason == "" {
		err.ErrStatus.Reason = metav1.StatusReasonInvalid
	}
	switch err.ErrStatus.Reason {
	case metav1.StatusReasonForbidden:
		err.ErrStatus.Code = http.StatusForbidden
	case metav1.StatusReasonUnauthorized:
		err.ErrStatus.Code = http.StatusUnauthorized
	case metav1.StatusReasonRequestEntityTooLarge:
		err.ErrStatus.Code = http.StatusRequestEntityTooLarge
	default:
		err.ErrStatus.Code = http.StatusUnprocessableEntity
	}
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: d.Error()})
	return err
}

// annotations are what policies tell the audit log, by policy/key; different bindings may tell different things.
type annotations map[string][]string

// maxAnnotation bounds a value, in bytes.
const maxAnnotation = 10 << 10

func (a annotations) add(policy, key, value string) {
	if len(value) > maxAnnotation {
		value = value[:maxAnnotation]
	}
	key = policy + "/" + key
	for _, have := range a[key] {
		if have == value {
			return
		}
	}
	a[key] = append(a[key], value)
}

func (a annotations) publish(w *request.Write) {
	for key, values := range a {
		w.Annotate(key, strings.Join(values, ", "))
	}
}
