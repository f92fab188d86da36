// Package match decides whether admission rules are about a write: resource
// rules, scopes, selectors and equivalent versions, for policies and webhooks
// alike.
//
// Everything here is a function of the write and of its namespace. It must not
// know what a policy or a webhook does. Read target.go first, then rules.go.
package match

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Target is a write as admission sees it: a write through a subresource with a body of its own is about that
// body, a namespace is in itself.
type Target struct {
	Resource    schema.GroupVersionResource // asked for by the client
	Kind        schema.GroupVersionKind     // of Object and Old in the version asked for
	Subresource string
	Namespace   string
	Name        string
	Operation   request.Operation
	// Object and Old are of the hub version, or the body of a subresource; nil when there is none. They are shared: not to be changed.
	Object, Old runtime.Object

	write *request.Write
	body  bool // Object and Old are a subresource's body, which has one version
}

// Of is the target of a write.
func Of(w *request.Write) *Target {
	version := w.Version
	if version.Version == "" {
		version = w.Kind.Hub()
	}
	gv := version.GroupVersion()
	t := &Target{
		Resource: gv.WithResource(w.Kind.Resource), Kind: gv.WithKind(w.Kind.Kind), Subresource: w.Subresource,
		Namespace: w.Namespace, Name: w.Name, Operation: w.Operation, write: w,
	}
	if w.Object != nil {
		t.Object = w.Object
	}
	if w.Old != nil {
		t.Old = w.Old
	}
	if t.Name == "" && w.Object != nil {
		t.Name = w.Object.GetName()
	}
	if isNamespace(t.Resource) {
		t.Namespace = t.Name
	}
	if w.Collection { // upstream has no names there
		t.Name = ""
	}
	sub := subresource(w)
	if sub == nil || sub.Body == nil {
		return t
	}
	t.Kind, t.body = *sub.Body, true
	switch {
	case sub.Scale != nil:
		t.Object, t.Old = scale(sub.Scale, w.Object), scale(sub.Scale, w.Old)
	case w.Body != nil:
		t.Object, t.Old = w.Body, nil
	}
	return t
}

// Body reports whether Object is the body of a subresource and not of the kind that is written.
func (t *Target) Body() bool { return t.body }

func isNamespace(r schema.GroupVersionResource) bool {
	return r.Group == "" && r.Resource == "namespaces"
}

func subresource(w *request.Write) *api.Subresource {
	for i := range w.Kind.Subresources {
		if w.Kind.Subresources[i].Name == w.Subresource {
			return &w.Kind.Subresources[i]
		}
	}
	return nil
}

func scale(s *api.Scale, obj api.Object) runtime.Object {
	if obj == nil {
		return nil
	}
	out := s.Get(obj)
	out.ObjectMeta = metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
		ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
	}
	out.TypeMeta = metav1.TypeMeta{Kind: "Scale", APIVersion: autoscalingv1.SchemeGroupVersion.String()}
	return out
}

// Versioned are the objects of a write in the version that a rule named, with kind and apiVersion. They share
// what they can with the originals: not to be changed.
func (t *Target) Versioned(as As) (obj, old runtime.Object, err error) {
	if obj, err = t.in(as, t.Object); err != nil {
		return nil, nil, err
	}
	old, err = t.in(as, t.Old)
	return obj, old, err
}

func (t *Target) in(as As, o runtime.Object) (runtime.Object, error) {
	obj, ok := o.(api.Object)
	if !ok || t.body {
		return withKind(o, as.Kind), nil
	}
	out, err := codec.InVersion(as.Version, obj)
	if err != nil {
		return nil, err
	}
	if v, ok := out.(api.Object); ok && v.GetObjectKind().GroupVersionKind() != as.Kind {
		s := codec.Shallow(v)
		s.GetObjectKind().SetGroupVersionKind(as.Kind)
		return s, nil
	}
	return out, nil
}

func withKind(o runtime.Object, gvk schema.GroupVersionKind) runtime.Object {
	if o == nil || o.GetObjectKind().GroupVersionKind() == gvk {
		return o
	}
	c := o.DeepCopyObject()
	c.GetObjectKind().SetGroupVersionKind(gvk)
	return c
}
