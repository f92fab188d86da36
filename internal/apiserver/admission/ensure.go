package admission

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

// EnsureSystem makes the SystemObjects be there, as a start does; what follows this server's address (the
// endpoints of "kubernetes", the published CAs) is brought up to date. conn must be that of a member of system:masters.
func EnsureSystem(ctx context.Context, conn client.Conn, s System) error {
	objects := SystemObjects(s)
	first := 0
	for first < len(objects) {
		if _, ok := objects[first].(*corev1.Namespace); !ok {
			break
		}
		first++
	}
	// At once, so that the store can put them into one transaction; namespaces before what is in them.
	for _, wave := range [][]api.Object{objects[:first], objects[first:]} {
		g := run.New(ctx)
		for _, o := range wave {
			g.Go("system object", func(ctx context.Context) error { return ensure(ctx, conn, o) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func ensure(ctx context.Context, conn client.Conn, want api.Object) error {
	k := kindOf(conn.Registry(), want)
	if k == nil {
		return fmt.Errorf("ensure %T %s: kind is not served", want, want.GetName())
	}
	have, err := conn.Get(ctx, k, want.GetNamespace(), want.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = conn.Create(ctx, k, want, metav1.CreateOptions{})
	case err == nil:
		if next := refresh(have, want); next != nil {
			_, err = conn.Update(ctx, k, next, "", metav1.UpdateOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("ensure %s %s: %w", k.Kind, want.GetName(), err)
	}
	return nil
}

func kindOf(r *api.Registry, o api.Object) *api.Kind {
	want := fmt.Sprintf("%T", o)
	for _, k := range r.Kinds() {
		if fmt.Sprintf("%T", k.Hub().New()) == want {
			return k
		}
	}
	return nil
}

// refresh is have brought up to date with what depends on the running server; nil when it is.
func refresh(have, want api.Object) api.Object {
	switch w := want.(type) {
	case *corev1.Endpoints: //nolint:staticcheck // clients still read it
		if h := have.(*corev1.Endpoints); !equality.Semantic.DeepEqual(h.Subsets, w.Subsets) { //nolint:staticcheck
			next := h.DeepCopy()
			next.Subsets = w.Subsets
			return next
		}
	case *discoveryv1.EndpointSlice:
		h := have.(*discoveryv1.EndpointSlice)
		if !equality.Semantic.DeepEqual(h.Ports, w.Ports) || !equality.Semantic.DeepEqual(h.Endpoints, w.Endpoints) {
			next := h.DeepCopy()
			next.Ports, next.Endpoints = w.Ports, w.Endpoints
			return next
		}
	case *corev1.Service:
		h := have.(*corev1.Service)
		if len(h.Spec.Ports) != 1 || h.Spec.Ports[0].TargetPort != w.Spec.Ports[0].TargetPort {
			next := h.DeepCopy()
			next.Spec.Ports = w.Spec.Ports
			return next
		}
	case *corev1.ConfigMap:
		if h := have.(*corev1.ConfigMap); !maps.Equal(h.Data, w.Data) {
			next := h.DeepCopy()
			next.Data = w.Data
			return next
		}
	}
	return nil
}
