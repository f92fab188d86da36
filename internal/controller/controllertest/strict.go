package controllertest

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/client"
)

// strict refuses what the server would: statuses that may not become what they are to be, and invalid objects of the
// kinds that controllers make from nothing. Objects in tests need not be complete, so what is made from them is let pass.
type strict struct {
	client.Conn
	t    *testing.T
	real *api.Registry
}

func newStrict(t *testing.T, c client.Conn) client.Conn {
	return strict{c, t, api.NewRegistry(all.Kinds())}
}

func (s strict) Create(ctx context.Context, k *api.Kind, obj api.Object, o metav1.CreateOptions) (api.Object, error) {
	if err := s.whole(k, obj); err != nil {
		return nil, err
	}
	return s.Conn.Create(ctx, k, obj, o)
}

func (s strict) Update(ctx context.Context, k *api.Kind, obj api.Object, sub string, o metav1.UpdateOptions) (api.Object, error) {
	err := s.whole(k, obj)
	if sub != "" {
		err = s.part(ctx, k, obj, sub)
	}
	if err != nil {
		return nil, err
	}
	return s.Conn.Update(ctx, k, obj, sub, o)
}

func (s strict) whole(k *api.Kind, obj api.Object) error {
	switch k.Kind {
	case "Endpoints", "EndpointSlice", "ControllerRevision", "ResourceQuota":
	default:
		return nil
	}
	real := s.real.Kind(k.GroupVersionKind().GroupKind())
	obj = obj.DeepCopyObject().(api.Object)
	if real.Default != nil {
		real.Default(obj)
	}
	return s.refuse(k, obj, real.Validate(obj))
}

func (s strict) part(ctx context.Context, k *api.Kind, obj api.Object, name string) error {
	real := s.real.Kind(k.GroupVersionKind().GroupKind())
	if real == nil {
		return nil
	}
	old, err := s.Conn.Get(ctx, k, obj.GetNamespace(), obj.GetName(), metav1.GetOptions{})
	if err != nil || old.GetResourceVersion() != obj.GetResourceVersion() {
		return nil // the fake answers
	}
	for _, sub := range real.Subresources {
		if sub.Name == name && sub.Validate != nil {
			return s.refuse(k, obj, sub.Validate(obj, old))
		}
	}
	return nil
}

func (s strict) refuse(k *api.Kind, obj api.Object, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	s.t.Errorf("%s %s/%s is refused: %v", k.Kind, obj.GetNamespace(), obj.GetName(), errs.ToAggregate())
	return apierrors.NewInvalid(k.GroupVersionKind().GroupKind(), obj.GetName(), errs)
}
