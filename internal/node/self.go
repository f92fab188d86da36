package node

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
)

// self keeps this node's own objects in the API: its Node and its Lease.
type self struct {
	cfg    *Config
	nodes  client.Client[*corev1.Node]
	leases client.Client[*coordinationv1.Lease]
	poke   chan struct{}
	ready  chan struct{} // closed when the Node exists
	uid    func() string
}

func newSelf(cfg *Config) *self {
	return &self{cfg: cfg, poke: make(chan struct{}, 1), ready: make(chan struct{}),
		nodes: client.For[*corev1.Node](cfg.Conn), leases: client.For[*coordinationv1.Lease](cfg.Conn)}
}

// LeaseNamespace holds the nodes' leases.
const LeaseNamespace = "kube-node-lease"

// lease renews the node's lease: the only write of an idle node.
func (s *self) lease(ctx context.Context) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil
	}
	var last *coordinationv1.Lease
	t := time.NewTicker(s.cfg.LeasePeriod)
	defer t.Stop()
	for {
		if l, err := s.renew(ctx, last); err == nil {
			last = l
		} else if last = nil; ctx.Err() == nil {
			s.cfg.Log.Warn("lease not renewed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *self) renew(ctx context.Context, last *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	now := metav1.NowMicro()
	if last == nil {
		l, err := s.leases.Get(ctx, LeaseNamespace, s.cfg.Name)
		if apierrors.IsNotFound(err) {
			secs := int32(40)
			return s.leases.Create(ctx, &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: LeaseNamespace, Name: s.cfg.Name},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &s.cfg.Name, LeaseDurationSeconds: &secs, RenewTime: &now},
			})
		}
		if err != nil {
			return nil, err
		}
		last = l
	}
	l := last.DeepCopy()
	l.Spec.RenewTime, l.Spec.HolderIdentity = &now, &s.cfg.Name
	return s.leases.Update(ctx, l)
}

// run registers the node and keeps its status.
func (s *self) run(ctx context.Context) error {
	close(s.ready)
	<-ctx.Done()
	return nil
}
