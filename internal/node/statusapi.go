package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/node/status"
)

// statusAPI writes pod statuses: an update guarded by the version last seen, and on a conflict one fresh read. That is
// cheaper for the server than a merge patch and loses no condition of anybody else.
type statusAPI struct{ pods client.Client[*corev1.Pod] }

func newStatusAPI(conn client.Conn) *statusAPI {
	return &statusAPI{client.For[*corev1.Pod](conn)}
}

// WriteStatus implements pod.API.
func (a *statusAPI) WriteStatus(ctx context.Context, base *corev1.Pod, s corev1.PodStatus) (*corev1.Pod, error) {
	for {
		obj := *base
		obj.Status = s
		stored, err := a.pods.UpdateStatus(ctx, &obj)
		if err == nil {
			return stored, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, err
		}
		fresh, err := a.pods.Get(ctx, base.Namespace, base.Name)
		if err != nil {
			return nil, err
		}
		if fresh.UID != base.UID {
			return nil, apierrors.NewNotFound(corev1.Resource("pods"), base.Name)
		}
		base, s = fresh, status.Merge(s, &fresh.Status)
	}
}

// Forget implements pod.API.
func (a *statusAPI) Forget(ctx context.Context, pod *corev1.Pod) error {
	zero := int64(0)
	err := a.pods.Delete(ctx, pod.Namespace, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
