// Package evaluate runs the CEL expressions of admission over a write: it makes
// values of objects, request, namespace, parameters and authorizer, and counts
// the cost.
//
// Expressions are compiled by api/expression. What an answer means is for who
// asks: policies and the match conditions of webhooks. Read this file first, then run.go.
package evaluate

import (
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Input is a write as the expressions of one policy or webhook see it. Values are made when an expression asks
// for them, once. It is not safe for concurrent use.
type Input struct {
	Write  *request.Write
	Target *match.Target
	As     match.As
	// Object and Old are in the version of As, with their kind; nil when there is none.
	Object, Old runtime.Object
	Namespace   *corev1.Namespace // of the object; nil for what is in none
	Authorizer  request.Authorizer

	values map[string]value
}

type value struct {
	v   any
	err error
}

// NewInput sees a write as rules matched it.
func NewInput(w *request.Write, t *match.Target, as match.As, namespace *corev1.Namespace, z request.Authorizer) (*Input, error) {
	obj, old, err := t.Versioned(as)
	if err != nil {
		return nil, err
	}
	return &Input{Write: w, Target: t, As: as, Object: obj, Old: old, Namespace: namespace, Authorizer: z}, nil
}

// SetObject puts another object in place, as a mutation does.
func (in *Input) SetObject(o runtime.Object) {
	in.Object = o
	delete(in.values, "object")
}

// once makes a value the first time it is asked for.
func (in *Input) once(name string, f func() (any, error)) (any, error) {
	if v, ok := in.values[name]; ok {
		return v.v, v.err
	}
	v, err := f()
	if in.values == nil {
		in.values = map[string]value{}
	}
	in.values[name] = value{v, err}
	return v, err
}

func (in *Input) object() (any, error) {
	return in.once("object", func() (any, error) { return plain(in.Object) })
}

func (in *Input) oldObject() (any, error) {
	return in.once("oldObject", func() (any, error) { return plain(in.Old) })
}

func (in *Input) request() (any, error) {
	return in.once("request", func() (any, error) { return plain(AdmissionRequest(in.Write, in.Target, in.As)) })
}

func (in *Input) namespace() (any, error) {
	return in.once("namespaceObject", func() (any, error) {
		if in.Namespace == nil {
			return nil, nil
		}
		return plain(visible(in.Namespace))
	})
}

// visible leaves out what expressions may not know of a namespace: its managers and owners.
func visible(ns *corev1.Namespace) *corev1.Namespace {
	out := &corev1.Namespace{ObjectMeta: ns.ObjectMeta, Spec: ns.Spec, Status: ns.Status}
	out.ManagedFields, out.OwnerReferences, out.SelfLink = nil, nil, ""
	return out
}

// plain is an object as maps and lists; nil for none.
func plain(o any) (any, error) {
	if o == nil || reflect.ValueOf(o).IsNil() {
		return nil, nil
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(o)
}

// AdmissionRequest describes a write without its objects.
func AdmissionRequest(w *request.Write, t *match.Target, as match.As) *admissionv1.AdmissionRequest {
	out := &admissionv1.AdmissionRequest{
		Kind: metav1.GroupVersionKind(as.Kind), Resource: metav1.GroupVersionResource(as.Resource), SubResource: t.Subresource,
		RequestKind: (*metav1.GroupVersionKind)(&t.Kind), RequestResource: (*metav1.GroupVersionResource)(&t.Resource), RequestSubResource: t.Subresource,
		Name: t.Name, Namespace: t.Namespace, Operation: admissionv1.Operation(t.Operation), DryRun: &w.DryRun,
		Options: runtime.RawExtension{Object: w.OptionsObject()},
	}
	if u := w.User; u != nil {
		out.UserInfo = authenticationv1.UserInfo{Username: u.Name, UID: u.UID, Groups: u.Groups, Extra: map[string]authenticationv1.ExtraValue{}}
		for k, v := range u.Extra {
			out.UserInfo.Extra[k] = v
		}
	}
	return out
}
