package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/linux/ns"
	"github.com/dhow-project/dhow/internal/linux/userns"
	"github.com/dhow-project/dhow/internal/network"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// sandbox is one set of namespaces. mu serialises what changes it.
type sandbox struct {
	mu      sync.Mutex
	record  sandboxRecord
	removed bool
	init    int // process that holds the shared PID namespace, 0 for none
}

// sandboxKey identifies a sandbox to its owner.
type sandboxKey struct {
	group, name, uid string
	attempt          uint32
}

func keyOf(c engine.SandboxConfig) sandboxKey { return sandboxKey{c.Group, c.Name, c.UID, c.Attempt} }

func (e *Engine) sandboxDir(id string) string { return filepath.Join(e.sandboxRoot(), id) }
func (e *Engine) nsDir(id string) string      { return filepath.Join(e.sandboxDir(id), "ns") }

func (e *Engine) sandbox(id string) (*sandbox, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sandboxes[id]; s != nil {
		return s, nil
	}
	return nil, unknown("sandbox", id)
}

func (e *Engine) allSandboxes() []*sandbox {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*sandbox, 0, len(e.sandboxes))
	for _, s := range e.sandboxes {
		out = append(out, s)
	}
	return out
}

// CreateSandbox is engine.Sandboxes'.
func (e *Engine) CreateSandbox(ctx context.Context, c engine.SandboxConfig) (string, error) {
	s := &sandbox{record: sandboxRecord{ID: newID(), Config: c, Created: time.Now()}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := e.claim(s); err != nil {
		return "", err
	}
	if err := e.makeSandbox(ctx, s); err != nil {
		err = fmt.Errorf("create sandbox %s/%s: %w", c.Group, c.Name, err)
		return "", errors.Join(err, e.unmakeSandbox(context.WithoutCancel(ctx), s))
	}
	e.events.send(engine.Event{Type: engine.SandboxCreated, SandboxID: s.record.ID, Time: time.Now()})
	return s.record.ID, nil
}

// claim makes the sandbox known, so that nobody makes it twice.
func (e *Engine) claim(s *sandbox) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := keyOf(s.record.Config)
	if id, taken := e.names[key]; taken {
		return fault.New(fault.Exists, "sandbox %s/%s, attempt %d, exists already as %s", key.group, key.name, key.attempt, id)
	}
	e.names[key] = s.record.ID
	e.sandboxes[s.record.ID] = s
	return nil
}

// makeSandbox is the order in which a sandbox comes to be. The record comes first: what a crash
// leaves half-made can be found and undone.
func (e *Engine) makeSandbox(ctx context.Context, s *sandbox) error {
	r := &s.record
	if err := os.MkdirAll(e.sandboxDir(r.ID), 0o700); err != nil {
		return err
	}
	r.Stopped = true
	if err := saveRecord(e.sandboxDir(r.ID), r); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *sandbox) error{
		e.makeFiles,
		e.makeCgroup,
		e.makeNamespaces,
		e.makeShm,
		e.makeNetwork,
	} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	r.Stopped = false
	return saveRecord(e.sandboxDir(r.ID), r)
}

func (e *Engine) makeFiles(_ context.Context, s *sandbox) error {
	dir := e.sandboxDir(s.record.ID)
	if name := s.record.Config.Hostname; name != "" {
		if err := os.WriteFile(filepath.Join(dir, "hostname"), []byte(name+"\n"), 0o644); err != nil {
			return err
		}
	}
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o644); err != nil {
		return err
	}
	dns := s.record.Config.DNS
	if len(dns.Servers) == 0 && len(dns.Searches) == 0 && len(dns.Options) == 0 && e.cfg.DNS != nil {
		dns = e.cfg.DNS()
	}
	if text := resolvConf(dns); text != "" {
		return os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(text), 0o644)
	}
	return nil
}

// resolvConf writes resolv.conf(5).
func resolvConf(d engine.DNS) string {
	var b strings.Builder
	if len(d.Searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(d.Searches, " "))
	}
	for _, s := range d.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(d.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(d.Options, " "))
	}
	return b.String()
}

func (e *Engine) makeCgroup(_ context.Context, s *sandbox) error {
	if s.record.Config.CgroupParent == "" {
		return nil
	}
	_, err := cgroup.Create(e.cgroup(s.record.Config.CgroupParent), linuxResources(s.record.Config.Resources))
	return err
}

// makeNamespaces pins those that containers share and the network does not bring.
func (e *Engine) makeNamespaces(_ context.Context, s *sandbox) error {
	c := s.record.Config
	if c.User != nil && c.Network == engine.Host {
		return fault.New(fault.Invalid, "a sandbox with a user namespace cannot have the host's network")
	}
	var kinds []ns.Kind
	if c.IPC != engine.Host {
		kinds = append(kinds, ns.IPC)
	}
	if c.Network != engine.Host {
		kinds = append(kinds, ns.UTS)
	}
	if c.Offline || c.User != nil { // a network of the host's user would obey none of the sandbox's
		kinds = append(kinds, ns.Net)
		s.record.NetNS = ns.Path(e.nsDir(s.record.ID), ns.Net)
	}
	if len(kinds) == 0 {
		return nil
	}
	o := ns.Options{Kinds: kinds, LoopbackUp: c.Offline}
	if c.Network != engine.Host {
		o.Hostname = c.Hostname
	}
	if u := c.User; u != nil {
		o.IDs = []userns.Map{{Inside: 0, Outside: u.HostID, Size: u.Length}}
	}
	return ns.Create(e.nsDir(s.record.ID), o)
}

func (e *Engine) makeNetwork(ctx context.Context, s *sandbox) error {
	r := &s.record
	if r.Config.Network == engine.Host || r.Config.Offline {
		return nil
	}
	ports := make([]network.PortMapping, len(r.Config.Ports))
	for i, p := range r.Config.Ports {
		ports[i] = network.PortMapping{Protocol: p.Protocol, HostIP: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ContainerPort}
	}
	a, err := e.network.Attach(ctx, r.ID, network.AttachOptions{Ports: ports, NetNS: r.NetNS})
	if err != nil {
		return err
	}
	r.NetNS = a.NetNS
	hosts, err := os.OpenFile(filepath.Join(e.sandboxDir(r.ID), "hosts"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer hosts.Close()
	for _, ip := range a.IPs {
		r.IPs = append(r.IPs, ip.String())
		if _, err := fmt.Fprintf(hosts, "%s\t%s\n", ip, r.Config.Hostname); err != nil {
			return err
		}
	}
	for i, p := range a.Ports { // host ports that were chosen
		r.Config.Ports[i].HostPort = p.HostPort
	}
	return nil
}

// StopSandbox is engine.Sandboxes'.
func (e *Engine) StopSandbox(ctx context.Context, id string) error {
	s, err := e.sandbox(id)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.stopSandbox(ctx, s)
}

func (e *Engine) stopSandbox(ctx context.Context, s *sandbox) error {
	if s.record.Stopped || s.removed {
		return nil
	}
	id := s.record.ID
	if err := e.killAll(ctx, id); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", id, err)
	}
	if err := e.releaseSandbox(ctx, s); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", id, err)
	}
	s.record.Stopped = true
	if err := saveRecord(e.sandboxDir(id), s.record); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", id, err)
	}
	e.events.send(engine.Event{Type: engine.SandboxStopped, SandboxID: id, Time: time.Now()})
	return nil
}

// killAll kills the containers of a sandbox side by side.
func (e *Engine) killAll(ctx context.Context, id string) error {
	var wg sync.WaitGroup
	list := e.containersOf(id)
	errs := make([]error, len(list))
	for i, c := range list {
		wg.Go(func() { errs[i] = e.stopContainer(ctx, c, 0) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// releaseSandbox gives back what the host lent: address, ports, namespaces. It may be repeated.
func (e *Engine) releaseSandbox(ctx context.Context, s *sandbox) error {
	return errors.Join(
		e.endInit(ctx, s),
		e.network.Detach(ctx, s.record.ID),
		ns.Remove(e.nsDir(s.record.ID)),
		mount.Unmount(e.shmDir(s.record.ID)),
	)
}

// RemoveSandbox is engine.Sandboxes'.
func (e *Engine) RemoveSandbox(ctx context.Context, id string) error {
	s, err := e.sandbox(id)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil
	}
	if err := e.stopSandbox(ctx, s); err != nil && !errors.Is(err, syscall.ENOSPC) { // removing is what makes room
		return err
	}
	for _, c := range e.containersOf(id) {
		if err := e.removeContainer(ctx, c); err != nil {
			return err
		}
	}
	if err := e.unmakeSandbox(ctx, s); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", id, err)
	}
	e.events.send(engine.Event{Type: engine.SandboxRemoved, SandboxID: id, Time: time.Now()})
	return nil
}

// unmakeSandbox forgets a sandbox without containers.
func (e *Engine) unmakeSandbox(ctx context.Context, s *sandbox) error {
	err := e.releaseSandbox(ctx, s)
	if parent := s.record.Config.CgroupParent; parent != "" && !e.cgroupShared(s) {
		err = errors.Join(err, cgroup.Remove(e.cgroup(parent)))
	}
	err = errors.Join(err, os.RemoveAll(e.sandboxDir(s.record.ID)))
	s.removed = true
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sandboxes, s.record.ID)
	delete(e.names, keyOf(s.record.Config))
	return err
}

// cgroupShared: another sandbox lives below the same parent.
func (e *Engine) cgroupShared(s *sandbox) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, other := range e.sandboxes {
		if other != s && other.record.Config.CgroupParent == s.record.Config.CgroupParent {
			return true
		}
	}
	return false
}

// Sandbox is engine.Sandboxes'.
func (e *Engine) Sandbox(_ context.Context, id string) (engine.Sandbox, error) {
	s, err := e.sandbox(id)
	if err != nil {
		return engine.Sandbox{}, err
	}
	return s.view(), nil
}

func (s *sandbox) view() engine.Sandbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.record
	state := engine.SandboxReady
	if r.Stopped {
		state = engine.SandboxNotReady
	}
	return engine.Sandbox{ID: r.ID, Config: r.Config, State: state, Created: r.Created, IPs: r.IPs, NetNS: r.NetNS}
}

// ListSandboxes is engine.Sandboxes'.
func (e *Engine) ListSandboxes(_ context.Context, f engine.Filter) ([]engine.Sandbox, error) {
	var out []engine.Sandbox
	for _, s := range e.allSandboxes() {
		if v := s.view(); (f.ID == "" || f.ID == v.ID) && matches(f.Labels, v.Config.Labels) {
			out = append(out, v)
		}
	}
	return out, nil
}

func matches(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// Dial is engine.Sandboxes'.
func (e *Engine) Dial(ctx context.Context, id string, port uint16) (io.ReadWriteCloser, error) {
	s, err := e.sandbox(id)
	if err != nil {
		return nil, err
	}
	if s.view().State != engine.SandboxReady {
		return nil, fault.New(fault.Unavailable, "sandbox %s is stopped", id)
	}
	return e.network.Dial(ctx, id, port)
}
