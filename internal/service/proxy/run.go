package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/x/run"
)

// Proxy keeps the kernel in step with the caches. Use New, then Run once.
type Proxy struct {
	cfg     Config
	state   *state
	groups  map[types.NamespacedName]map[string]uint32
	counter uint32

	mu    sync.Mutex
	dirty map[types.NamespacedName]bool
	wake  chan struct{}
	left  *leavers
}

// New subscribes to the caches, which are not running yet.
func New(cfg Config) *Proxy {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{cfg: cfg, state: newState(), groups: map[types.NamespacedName]map[string]uint32{}, dirty: map[types.NamespacedName]bool{}, wake: make(chan struct{}, 1), left: newLeavers()}
	cfg.Services.Subscribe(func(old, new *corev1.Service) {
		for _, s := range []*corev1.Service{old, new} {
			if s != nil {
				p.mark(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
			}
		}
	})
	cfg.Slices.Index(byService, func(s *discoveryv1.EndpointSlice) []string { return []string{serviceOf(s).String()} })
	cfg.Slices.Subscribe(func(old, new *discoveryv1.EndpointSlice) {
		for _, s := range []*discoveryv1.EndpointSlice{old, new} {
			if s != nil && s.Labels[discoveryv1.LabelServiceName] != "" {
				p.mark(serviceOf(s))
			}
		}
	})
	return p
}

const byService = "service"

func serviceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

func (p *Proxy) mark(name types.NamespacedName) {
	p.mu.Lock()
	p.dirty[name] = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Proxy) takeDirty() map[types.NamespacedName]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dirty
	p.dirty = map[types.NamespacedName]bool{}
	return d
}

// Run keeps Services working until ctx ends. The caches must be synced before. When it returns the kernel
// goes on serving what it knows.
func (p *Proxy) Run(ctx context.Context) error {
	k, err := openKernel(p.cfg.Name, p.cfg.PodCIDRs)
	if err != nil {
		return fmt.Errorf("serve services: %w", err)
	}
	defer k.conn.Close()
	p.takeDirty()
	if err := k.load(p.everything()); err != nil {
		return fmt.Errorf("serve services: %w", err)
	}
	g := run.New(ctx)
	g.Go("service table", func(ctx context.Context) error { return p.follow(ctx, k) })
	g.Go("service connections", func(ctx context.Context) error { return p.left.run(ctx, p.cfg.Log) })
	return g.Wait()
}

func (p *Proxy) follow(ctx context.Context, k *kernel) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		if err := p.sync(k); err != nil {
			return err
		}
	}
}

// sync brings all changes since the last one into the kernel with one transaction. When the kernel disagrees about what it
// has (somebody meddled with the table), the table is made anew.
func (p *Proxy) sync(k *kernel) error {
	changed := map[types.NamespacedName][]claim{}
	for name := range p.takeDirty() {
		changed[name] = p.compileOne(name)
	}
	difference := p.state.replace(changed)
	err := k.change(difference)
	p.left.note(difference)
	if err == nil {
		return nil
	}
	p.cfg.Log.Warn("service table differs from what it should be, made anew", "err", err)
	p.state = newState()
	return k.load(p.everything())
}

func (p *Proxy) compileOne(name types.NamespacedName) []claim {
	svc, ok := p.cfg.Services.Get(name.Namespace, name.Name)
	if !ok {
		delete(p.groups, name)
		return nil
	}
	return p.compile(name, svc, p.cfg.Slices.By(byService, name.String()))
}

func (p *Proxy) compile(name types.NamespacedName, svc *corev1.Service, eps []*discoveryv1.EndpointSlice) []claim {
	return compiler{p.cfg.NodeName, func(group string) uint32 { return p.group(name, group) }}.compile(svc, eps)
}

// everything plans the whole table.
func (p *Proxy) everything() plan {
	slices := map[types.NamespacedName][]*discoveryv1.EndpointSlice{}
	for _, s := range p.cfg.Slices.List() {
		slices[serviceOf(s)] = append(slices[serviceOf(s)], s)
	}
	all := map[types.NamespacedName][]claim{}
	for _, svc := range p.cfg.Services.List() {
		n := types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
		if c := p.compile(n, svc, slices[n]); len(c) > 0 {
			all[n] = c
		}
	}
	return p.state.replace(all)
}

// group numbers never come back while the proxy runs, so an old affinity cannot meet a new Service.
func (p *Proxy) group(service types.NamespacedName, name string) uint32 {
	ids := p.groups[service]
	if ids == nil {
		ids = map[string]uint32{}
		p.groups[service] = ids
	}
	if ids[name] == 0 {
		p.counter++
		ids[name] = p.counter
	}
	return ids[name]
}
