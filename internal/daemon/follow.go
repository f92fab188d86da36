package daemon

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/client"
)

// ensureDNS makes the Service that pods have in their resolv.conf. Its endpoint is this process, and
// follows its address.
func (d *daemon) ensureDNS(ctx context.Context) error {
	service, slice := d.dnsObjects()
	services := client.For[*corev1.Service](d.conn)
	if _, err := services.Get(ctx, service.Namespace, service.Name); apierrors.IsNotFound(err) {
		if _, err := services.Create(ctx, service); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	slices := client.For[*discoveryv1.EndpointSlice](d.conn)
	have, err := slices.Get(ctx, slice.Namespace, slice.Name)
	if apierrors.IsNotFound(err) {
		_, err := slices.Create(ctx, slice)
		return err
	}
	if err != nil || equality.Semantic.DeepEqual(have.Endpoints, slice.Endpoints) {
		return err
	}
	update := have.DeepCopy()
	update.Endpoints, update.Ports = slice.Endpoints, slice.Ports
	_, err = slices.Update(ctx, update)
	return err
}
