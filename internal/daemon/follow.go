package daemon

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

// followAddress corrects the endpoints that this process is itself: the API server's and DNS's. Their
// address changes when the machine's or the settings do, and nothing else would correct them.
func (d *daemon) followAddress(ctx context.Context, k *api.Kind, have, want api.Object) error {
	update := have.DeepCopyObject().(api.Object)
	switch u := update.(type) {
	case *discoveryv1.EndpointSlice:
		w := want.(*discoveryv1.EndpointSlice)
		u.Endpoints, u.Ports = w.Endpoints, w.Ports
	case *corev1.Endpoints:
		u.Subsets = want.(*corev1.Endpoints).Subsets
	default:
		return nil
	}
	if equality.Semantic.DeepEqual(update, have) {
		return nil
	}
	_, err := d.conn.Update(ctx, k, update, "", metav1.UpdateOptions{})
	return err
}
