package node

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LeaseNamespace holds the nodes' leases.
const LeaseNamespace = "kube-node-lease"

// lease renews the node's lease: the only periodic write of an idle node. tick is called each time, for cheap chores
// that would otherwise need a timer of their own.
func (s *self) lease(ctx context.Context, tick func(context.Context)) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil
	}
	var last *coordinationv1.Lease
	t := time.NewTicker(s.cfg.LeasePeriod)
	defer t.Stop()
	for {
		l, err := s.renew(ctx, last)
		if last = l; err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("lease not renewed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			tick(ctx)
		}
	}
}

// renew writes a new time into the lease last written, or the one that is there.
func (s *self) renew(ctx context.Context, last *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	now, secs := metav1.NowMicro(), int32(40)
	if last == nil {
		l, err := s.leases.Get(ctx, LeaseNamespace, s.cfg.Name)
		if apierrors.IsNotFound(err) {
			l = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: LeaseNamespace, Name: s.cfg.Name}}
			if n := s.node(); n.UID != "" {
				l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}
			}
			l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &s.cfg.Name, LeaseDurationSeconds: &secs, RenewTime: &now}
			return s.leases.Create(ctx, l)
		}
		if err != nil {
			return nil, err
		}
		last = l
	}
	l := last.DeepCopy()
	l.Spec.RenewTime, l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = &now, &s.cfg.Name, &secs
	stored, err := s.leases.Update(ctx, l)
	if err != nil {
		return nil, err
	}
	return stored, nil
}
