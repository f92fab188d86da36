package apiserver

import (
	"fmt"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// body is what a POST to a subresource carries; nil: it is not served this way.
func body(c *call) (schema.GroupVersionKind, runtime.Object) {
	switch c.subresource {
	case "binding":
		return corev1.SchemeGroupVersion.WithKind("Binding"), &corev1.Binding{}
	case "eviction":
		return policyv1.SchemeGroupVersion.WithKind("Eviction"), &policyv1.Eviction{}
	case "token":
		return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), &authenticationv1.TokenRequest{}
	}
	return schema.GroupVersionKind{}, nil
}

func (s *Server) servePost(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := negotiate(r, q)
	if err != nil {
		return err
	}
	if err := c.writeOptions(q, r.UserAgent()); err != nil {
		return err
	}
	f, err := inputFormat(r)
	if err != nil {
		return err
	}
	data, err := readBody(r, w)
	if err != nil {
		return err
	}
	gvk, obj := body(c)
	if obj == nil {
		return methodNotAllowed()
	}
	if err := c.decode(f, data, gvk, obj); err != nil {
		return err
	}
	out, err := s.post(c, obj)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	if st, ok := out.(*metav1.Status); ok {
		s.object(w, r, o, http.StatusCreated, statusKind, st)
		return nil
	}
	s.object(w, r, o, http.StatusCreated, gvk, out)
	return nil
}

// post creates a subresource and returns the answer; b is the server's to change.
func (s *Server) post(c *call, b runtime.Object) (runtime.Object, error) {
	switch b := b.(type) {
	case *corev1.Binding:
		return s.bind(c, b)
	case *policyv1.Eviction:
		return s.evict(c, b)
	}
	return s.special(c, b)
}

// special hands a body to the function that Config names for it, after admission.
func (s *Server) special(c *call, b runtime.Object) (runtime.Object, error) {
	gr := c.resource()
	if c.subresource != "" {
		gr.Resource += "/" + c.subresource
	}
	f := s.Virtual[gr]
	if f == nil {
		return nil, notFoundPath()
	}
	w := s.bodyWrite(c, b)
	if c.subresource != "" {
		old, ok := s.cache.Entry(c.kind, c.namespace, c.name)
		if !ok {
			return nil, apierrors.NewNotFound(c.resource(), c.name)
		}
		w.Old = old.Obj
	}
	if err := s.admit(w); err != nil {
		return nil, err
	}
	n := len(w.Warnings)
	out, err := f(c.ctx, &w.Write)
	c.warn(w.Warnings[n:]...)
	return out, err
}

// bodyWrite is the creation of what is not stored itself.
func (s *Server) bodyWrite(c *call, b runtime.Object) *writing {
	w := s.newWrite(c, request.Create, nil, nil)
	if obj, ok := b.(api.Object); ok && c.subresource == "" {
		w.Object, w.Name = obj, obj.GetName()
	} else {
		w.Body = b
	}
	return w
}

func (s *Server) serveVirtual(w http.ResponseWriter, r *http.Request, o output, c *call, obj api.Object) error {
	out, err := s.virtual(c, obj)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	gvk := c.gvk()
	if st, ok := out.(*metav1.Status); ok {
		s.object(w, r, o, http.StatusCreated, statusKind, st)
		return nil
	}
	s.object(w, r, o, http.StatusCreated, gvk, out)
	return nil
}

// virtual answers the creation of a kind that is not stored.
func (s *Server) virtual(c *call, obj api.Object) (runtime.Object, error) {
	if err := matchNamespace(c, obj); err != nil {
		return nil, err
	}
	if b, ok := obj.(*corev1.Binding); ok {
		pods := s.Registry.Resource(schema.GroupResource{Resource: "pods"})
		if pods == nil {
			return nil, notFoundPath()
		}
		w := s.bodyWrite(c, b)
		if err := s.admit(w); err != nil {
			return nil, err
		}
		b = w.Object.(*corev1.Binding)
		pc := *c
		pc.kind, pc.version, pc.name, pc.subresource, pc.inner = pods, 0, b.Name, "binding", true
		return s.assign(&pc, b)
	}
	if c.kind.Default != nil {
		c.kind.Default(obj)
	}
	if c.kind.Validate != nil {
		if errs := c.kind.Validate(obj); len(errs) > 0 {
			return nil, apierrors.NewInvalid(c.groupKind(), obj.GetName(), errs)
		}
	}
	return s.special(c, obj)
}

func success() *metav1.Status {
	return &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusCreated}
}

// bind puts a pod on a node. What is admitted is the binding, not the pod's change.
func (s *Server) bind(c *call, b *corev1.Binding) (runtime.Object, error) {
	w := s.bodyWrite(c, b)
	if err := s.admit(w); err != nil {
		return nil, err
	}
	b = w.Body.(*corev1.Binding)
	inner := *c
	inner.inner = true
	return s.assign(&inner, b)
}

func (s *Server) assign(c *call, b *corev1.Binding) (runtime.Object, error) {
	if b.Name != "" && b.Name != c.name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", b.Name, c.name))
	}
	if b.Target.Kind != "" && b.Target.Kind != "Node" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("target.kind: Unsupported value: %q: supported values: \"Node\", \"<empty>\"", b.Target.Kind))
	}
	if b.Target.Name == "" {
		return nil, apierrors.NewBadRequest("target.name: Required value")
	}
	_, _, err := s.modify(c, false, func(old api.Object) (api.Object, bool, error) {
		pod := old.DeepCopyObject().(*corev1.Pod)
		if b.UID != "" && b.UID != pod.UID {
			return nil, false, uidConflict(c, b, string(pod.UID))
		}
		pod.ResourceVersion = b.ResourceVersion
		return pod, true, assignPod(c, pod, b, s.now()) // upstream gives nobody the fields that a binding sets
	})
	if err != nil {
		return nil, err
	}
	return success(), nil
}

func assignPod(c *call, pod *corev1.Pod, b *corev1.Binding, now metav1.Time) error {
	conflict := func(format string, args ...any) error {
		return apierrors.NewConflict(schema.GroupResource{Resource: "pods/binding"}, pod.Name, fmt.Errorf(format, args...))
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return conflict("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return conflict("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) > 0:
		return conflict("pod %v has non-empty .spec.schedulingGates", pod.Name)
	}
	pod.Spec.NodeName = b.Target.Name
	for k, v := range b.Annotations {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[k] = v
	}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodScheduled {
			pod.Status.Conditions = append(pod.Status.Conditions[:i], pod.Status.Conditions[i+1:]...)
			break
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now, ObservedGeneration: 0,
	})
	return nil
}
