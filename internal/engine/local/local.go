// Package local is the engine contract on this machine: our image store, our networks,
// our keeper.
//
// It knows sandboxes and containers by their records on disk and asks the keeper what
// runs; it starts with reconcile.go after whatever happened. It must not know Kubernetes. Read
// this file first, then sandbox.go and container.go.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/linux/apparmor"
	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/network"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Config of an engine.
type Config struct {
	Name       string // unique on the host: links, tables and cgroups are called after it
	Dir        string // images, records, writable layers
	NetworkDir string // does not survive a reboot
	PodCIDRs   []netip.Prefix
	// ClusterCIDRs are reached without masquerading: all nodes' sandboxes. ServiceCIDRs are virtual addresses
	// that somebody else translates: the host sends them towards the sandboxes' bridge.
	ClusterCIDRs, ServiceCIDRs []netip.Prefix
	Registries                 image.Registries
	Version                    string
	// DNS is what a sandbox gets whose config names no servers.
	DNS func() engine.DNS
	Log *slog.Logger
}

// Engine implements engine.Engine and engine.Library. Use Open.
type Engine struct {
	cfg      Config
	log      *slog.Logger
	images   *image.Store
	network  *network.Manager
	keeper   *keeper.Client
	events   broadcaster
	profiles sync.Map // *specs.LinuxSeccomp by added capabilities
	warnings []string
	leaving  atomic.Bool // the keeper is being stopped
	settled  atomic.Bool // what an earlier process left is known
	group    *run.Group

	mu         sync.Mutex // guards the maps, not what they hold
	sandboxes  map[string]*sandbox
	containers map[string]*container
	names      map[sandboxKey]string // to sandbox id
}

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Library = (*Engine)(nil)
)

// Open takes over what an earlier process left and starts a keeper if none runs.
func Open(ctx context.Context, cfg Config) (_ *Engine, err error) {
	e := &Engine{
		cfg: cfg, log: cfg.Log,
		sandboxes: map[string]*sandbox{}, containers: map[string]*container{}, names: map[sandboxKey]string{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if err := preflight(); err != nil {
		return nil, err
	}
	for _, dir := range []string{e.sandboxRoot(), e.containerRoot()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open engine: %w", err)
		}
	}
	if err := e.openParts(ctx); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	if e.warnings, err = e.network.Firewall(); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	for _, w := range e.warnings {
		e.log.Warn("firewall", "problem", w)
	}
	e.group = run.New(context.WithoutCancel(ctx))
	if err := e.reconcile(ctx); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	return e, nil
}

// openParts opens what is slow side by side.
func (e *Engine) openParts(ctx context.Context) error {
	g := run.New(context.WithoutCancel(ctx))
	g.Go("images", func(context.Context) (err error) {
		e.images, err = image.Open(filepath.Join(e.cfg.Dir, "images"), image.Options{Log: e.log, Registries: e.cfg.Registries})
		return err
	})
	g.Go("network", func(ctx context.Context) (err error) {
		e.network, err = network.Open(ctx, network.Config{
			Name: e.cfg.Name, Dir: e.cfg.NetworkDir, PodCIDRs: e.cfg.PodCIDRs, Direct: e.cfg.ClusterCIDRs, Virtual: e.cfg.ServiceCIDRs,
			Masquerade: true, Log: e.log,
		})
		return err
	})
	g.Go("keeper", func(ctx context.Context) (err error) {
		e.keeper, err = keeper.Ensure(ctx, keeper.Config{Dir: e.cfg.Dir, Log: e.log})
		return err
	})
	return g.Wait()
}

// Close leaves all containers running.
func (e *Engine) Close() error {
	var errs []error
	if e.group != nil {
		e.group.Stop()
		errs = append(errs, e.group.Wait())
	}
	e.events.close()
	if e.network != nil {
		errs = append(errs, e.network.Close())
	}
	if e.images != nil {
		errs = append(errs, e.images.Close())
	}
	return errors.Join(errs...)
}

// Purge stops everything and makes the host as it was, but for Dir. The engine is closed afterwards.
func (e *Engine) Purge(ctx context.Context) error {
	var errs []error
	e.leaving.Store(true)
	for _, s := range e.allSandboxes() {
		errs = append(errs, e.RemoveSandbox(ctx, s.record.ID))
	}
	e.group.Stop() // nobody is to be told that the keeper goes
	errs = append(errs, e.keeper.Shutdown(ctx), e.network.Purge(ctx), cgroup.Remove(e.cgroup("")))
	return errors.Join(append(errs, e.Close())...)
}

// Idle reports that there is nothing to keep running.
func (e *Engine) Idle() bool { return len(e.allSandboxes()) == 0 }

// Images is the store, for the registry that serves it.
func (e *Engine) Images() *image.Store { return e.images }

// Gateway are the addresses at which sandboxes reach this host.
func (e *Engine) Gateway() []netip.Addr { return e.network.Gateway() }

// Info is engine.Engine's.
func (e *Engine) Info(context.Context) (engine.Info, error) {
	return engine.Info{
		Name: "dhow", Warnings: e.warnings, Version: e.cfg.Version, CgroupV2: cgroup.V2(), AppArmor: apparmor.Enabled(), ImageDir: filepath.Join(e.cfg.Dir, "images"),
	}, nil
}

// Events is engine.Engine's.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	return e.events.subscribe(ctx), nil
}

func (e *Engine) sandboxRoot() string   { return filepath.Join(e.cfg.Dir, "sandboxes") }
func (e *Engine) containerRoot() string { return filepath.Join(e.cfg.Dir, "containers") }

// cgroup is the path of a group below the engine's own, from the root of each hierarchy.
func (e *Engine) cgroup(path string) string { return filepath.Join("/dhow-"+e.cfg.Name, path) }

func unknown(what, id string) error {
	return fault.New(fault.NotFound, "%s %s is not known here", what, id)
}
