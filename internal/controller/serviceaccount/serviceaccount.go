// Package serviceaccount gives every namespace its default ServiceAccount, and
// the token Secrets that people make by hand their tokens.
package serviceaccount

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

const defaultName = "default"

// Controller makes default ServiceAccounts; its keys are namespaces. Use New.
type Controller struct {
	*controller.Loop
	namespaces client.Cache[*corev1.Namespace]
	accounts   client.Cache[*corev1.ServiceAccount]
	api        client.Client[*corev1.ServiceAccount]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{namespaces: client.CacheOf[*corev1.Namespace](d.Caches), accounts: client.CacheOf[*corev1.ServiceAccount](d.Caches), api: client.For[*corev1.ServiceAccount](d.Conn)}
	c.Loop = controller.NewLoop(d, "service-account-controller", c.sync)
	controller.Changed(c.Loop, c.namespaces)
	c.accounts.Subscribe(func(old, sa *corev1.ServiceAccount) {
		if sa == nil && old.Name == defaultName {
			c.Add(controller.Key{Name: old.Namespace})
		}
	})
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	ns, ok := c.namespaces.Get("", key.Name)
	if !ok || ns.Status.Phase == corev1.NamespaceTerminating || ns.DeletionTimestamp != nil {
		return nil
	}
	if _, ok := c.accounts.Get(key.Name, defaultName); ok {
		return nil
	}
	_, err := c.api.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: key.Name, Name: defaultName}})
	if err == nil || apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	return fmt.Errorf("create service account: %w", err)
}
