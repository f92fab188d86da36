// Package typecheck says in the status of ValidatingAdmissionPolicies what in
// their expressions cannot be right for the kinds they are about (KEP-3488).
//
// A warning changes nothing about what a policy does. plan.go finds them, from
// the registry alone; this file writes them down.
package typecheck

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of the policies' status. Use New.
type Controller struct {
	*controller.Loop
	registry *api.Registry
	policies client.Cache[*admissionregistrationv1.ValidatingAdmissionPolicy]
	api      client.Client[*admissionregistrationv1.ValidatingAdmissionPolicy]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		registry: d.Conn.Registry(), policies: client.CacheOf[*admissionregistrationv1.ValidatingAdmissionPolicy](d.Caches),
		api: client.For[*admissionregistrationv1.ValidatingAdmissionPolicy](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "validatingadmissionpolicy-status", c.sync)
	c.Workers = 1
	c.policies.Subscribe(func(_, p *admissionregistrationv1.ValidatingAdmissionPolicy) {
		if p != nil && p.Generation > p.Status.ObservedGeneration {
			c.AddObject(p)
		}
	})
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	p, ok := c.policies.Get("", key.Name)
	if !ok || p.Generation <= p.Status.ObservedGeneration {
		return nil
	}
	next := p.DeepCopy()
	next.Status.ObservedGeneration = p.Generation
	next.Status.TypeChecking = &admissionregistrationv1.TypeChecking{ExpressionWarnings: warnings(c.registry, &p.Spec)}
	_, err := c.api.UpdateStatus(ctx, next)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
