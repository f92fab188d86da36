package node

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
)

// KubeVersion is the Kubernetes version this node behaves as.
const KubeVersion = "v1.36.3"

// self keeps this node's own objects in the API: its Node and its Lease.
type self struct {
	cfg    *Config
	nodes  client.Client[*corev1.Node]
	leases client.Client[*coordinationv1.Lease]
	poke   chan struct{} // status should be looked at now
	ready  chan struct{} // closed when the Node exists
	look   func() machine

	mu   sync.Mutex
	live *corev1.Node // newest seen, nil before registration
}

func newSelf(cfg *Config) *self {
	return &self{cfg: cfg, poke: make(chan struct{}, 1), ready: make(chan struct{}),
		look:  sync.OnceValue(func() machine { return look(cfg.HostRoot, cfg.Dir) }),
		nodes: client.For[*corev1.Node](cfg.Conn), leases: client.For[*coordinationv1.Lease](cfg.Conn)}
}

// capacity of the machine with what the configuration overrides.
func (s *self) capacity() corev1.ResourceList {
	l := maps.Clone(s.look().capacity)
	maps.Copy(l, s.cfg.Capacity)
	l[corev1.ResourcePods] = *resource.NewQuantity(s.cfg.MaxPods, resource.DecimalSI)
	return l
}

// allocatable is capacity less what is reserved.
func (s *self) allocatable() corev1.ResourceList {
	l := s.capacity()
	for name, q := range s.cfg.Reserved {
		have := l[name]
		have.Sub(q)
		if have.Sign() < 0 {
			have = resource.Quantity{}
		}
		l[name] = have
	}
	return l
}

// node is this Node as last seen, or as it would be registered.
func (s *self) node() *corev1.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil {
		return s.live
	}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.cfg.Name, Labels: s.labels()}, Spec: corev1.NodeSpec{Taints: s.cfg.Taints}}
}

func (s *self) labels() map[string]string {
	l := map[string]string{
		corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH, corev1.LabelHostname: s.cfg.Name,
		"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": runtime.GOARCH,
	}
	maps.Copy(l, s.cfg.Labels)
	return l
}

// annotations tell others what this node offers.
func (s *self) annotations() map[string]string {
	if s.cfg.Storage == "" {
		return nil
	}
	return map[string]string{binding.LocalPathRoot: s.cfg.Storage}
}

// run registers the node and keeps its status: on change at once, else every StatusPeriod.
func (s *self) run(ctx context.Context) error {
	if err := s.register(ctx); err != nil {
		return err
	}
	close(s.ready)
	caches := client.NewCaches(s.cfg.Conn, s.cfg.Log)
	client.CacheOf[*corev1.Node](caches, client.Fields("metadata.name="+s.cfg.Name)).Subscribe(s.saw)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = caches.Run(ctx) })
	t := time.NewTicker(s.cfg.StatusPeriod)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			s.write(ctx, true)
		case <-s.poke:
			s.write(ctx, false)
		}
	}
}

// saw takes a newer version of the Node; a deleted one is registered again.
func (s *self) saw(_, now *corev1.Node) {
	s.mu.Lock()
	s.live = now
	s.mu.Unlock()
	if now == nil {
		s.changed()
	}
}

// changed asks for the status to be written if it differs.
func (s *self) changed() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// checkEngine has the status written when the engine's health differs from what the Node says.
func (s *self) checkEngine(ctx context.Context) {
	info, err := s.cfg.Engine.Info(ctx)
	well := err == nil && info.NotReady == "" && info.NetworkNotReady == ""
	for _, c := range s.node().Status.Conditions {
		if c.Type == corev1.NodeReady && (c.Status == corev1.ConditionTrue) != well {
			s.changed()
		}
	}
}

// appArmor tells whether the engine can keep a profile.
func (s *self) appArmor() bool {
	info, err := s.cfg.Engine.Info(context.Background())
	return err == nil && info.AppArmor
}

// register makes the Node or brings the one that is there up to date, until the API takes it.
func (s *self) register(ctx context.Context) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := s.ensure(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		s.cfg.Log.Warn("node not registered, trying again", "error", err, "in", wait)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

func (s *self) ensure(ctx context.Context) error {
	fresh := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.cfg.Name, Labels: s.labels(), Annotations: s.annotations()}, Spec: corev1.NodeSpec{Taints: s.cfg.Taints}}
	fresh.Status = s.status(ctx, fresh)
	made, err := s.nodes.Create(ctx, fresh)
	if apierrors.IsAlreadyExists(err) {
		old, err := s.nodes.Get(ctx, "", s.cfg.Name)
		if err != nil {
			return err
		}
		made = old
		want := old.DeepCopy()
		if want.Labels == nil {
			want.Labels = map[string]string{}
		}
		maps.Copy(want.Labels, s.labels())
		if a := s.annotations(); len(a) > 0 && want.Annotations == nil {
			want.Annotations = a
		} else {
			maps.Copy(want.Annotations, a)
		}
		if !maps.Equal(want.Labels, old.Labels) || !maps.Equal(want.Annotations, old.Annotations) {
			if made, err = s.nodes.Update(ctx, want); err != nil {
				return err
			}
		}
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	s.live = made
	s.mu.Unlock()
	return s.put(ctx, made, true)
}

// write refreshes the status; beat forces new heartbeats.
func (s *self) write(ctx context.Context, beat bool) {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	var err error
	if live == nil {
		err = s.ensure(ctx)
	} else {
		err = s.put(ctx, live, beat)
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("node status not written", "error", err)
		time.AfterFunc(time.Second, s.changed)
	}
}

func (s *self) put(ctx context.Context, live *corev1.Node, beat bool) error {
	for {
		n := live.DeepCopy()
		n.Status = s.status(ctx, live)
		if !beat && same(&n.Status, &live.Status) {
			return nil
		}
		stored, err := s.nodes.UpdateStatus(ctx, n)
		if err == nil {
			s.mu.Lock()
			s.live = stored
			s.mu.Unlock()
			return nil
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		if live, err = s.nodes.Get(ctx, "", s.cfg.Name); err != nil {
			return err
		}
	}
}

// same compares without heartbeats.
func same(a, b *corev1.NodeStatus) bool {
	x, y := a.DeepCopy(), b.DeepCopy()
	for _, l := range [][]corev1.NodeCondition{x.Conditions, y.Conditions} {
		for i := range l {
			l[i].LastHeartbeatTime = metav1.Time{}
		}
	}
	return equality.Semantic.DeepEqual(x, y)
}
