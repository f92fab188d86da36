package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/server"
	"github.com/dhow-project/dhow/internal/node/stats"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Handler is the node's HTTP API. The caller serves it with TLS, or calls it in process.
func (n *Node) Handler() http.Handler {
	return server.New(view{n}, n.cfg.Engine, n.log, n.cfg.Authorize).Handler()
}

// view shows the node to its server.
type view struct{ n *Node }

// Pods implements server.Node.
func (v view) Pods() []*corev1.Pod { return v.n.pods.list() }

func (v view) find(ns, pod, uid string) (*entry, error) {
	p := v.n.pods
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, e := range p.workers {
		if e.api.Namespace == ns && e.api.Name == pod && (uid == "" || uid == string(id)) {
			return &entry{Worker: e.Worker, api: e.api}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "pod %q not found on node %s", ns+"/"+pod, v.n.cfg.Name)
}

// Container implements server.Node.
func (v view) Container(ns, pod, uid, name string, previous bool) (server.Container, error) {
	e, err := v.find(ns, pod, uid)
	if err != nil {
		return server.Container{}, err
	}
	var newest, before *engine.Container
	for _, c := range e.Containers() {
		if c.Config.Name == name {
			before, newest = newest, &c
		}
	}
	switch {
	case newest == nil && !declared(e.api, name):
		return server.Container{}, fault.New(fault.NotFound, "container %q not found in pod %q", name, pod)
	case previous && before == nil && newest != nil && newest.State == engine.ContainerExited && waits(e.api, name):
		before = newest // it waits for its next start: its last end is the previous one
	}
	if previous {
		newest = before
	}
	switch {
	case previous && newest == nil:
		return server.Container{}, fault.New(fault.Invalid, "previous terminated container %q in pod %q not found", name, pod)
	case newest == nil:
		return server.Container{}, fault.New(fault.Unavailable, "container %q in pod %q is waiting to start: %s", name, pod, waitingFor(e.api, name))
	}
	done, release := v.n.pods.ended(newest)
	return server.Container{ID: newest.ID, LogPath: filepath.Join(v.n.LogDir(e.api), newest.Config.LogPath), TTY: newest.Config.TTY,
		Stdin: newest.Config.Stdin, Running: newest.State == engine.ContainerRunning, Done: done, Close: release}, nil
}

func declared(p *corev1.Pod, name string) bool {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			if l[i].Name == name {
				return true
			}
		}
	}
	for i := range p.Spec.EphemeralContainers {
		if p.Spec.EphemeralContainers[i].Name == name {
			return true
		}
	}
	return false
}

func statusOf(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, l := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range l {
			if l[i].Name == name {
				return &l[i]
			}
		}
	}
	return nil
}

func waits(p *corev1.Pod, name string) bool {
	s := statusOf(p, name)
	return s != nil && s.State.Waiting != nil
}

func waitingFor(p *corev1.Pod, name string) string {
	if s := statusOf(p, name); s != nil && s.State.Waiting != nil {
		if m := s.State.Waiting.Message; m != "" && s.State.Waiting.Reason != "ContainerCreating" {
			return strings.TrimSuffix(s.State.Waiting.Reason+": "+m, ": ")
		}
		return s.State.Waiting.Reason
	}
	return "ContainerCreating"
}

// ended gives a channel that closes when the container has; release lets go of it.
func (p *pods) ended(c *engine.Container) (<-chan struct{}, func()) {
	ch := make(chan struct{})
	if c.State != engine.ContainerRunning {
		close(ch)
		return ch, func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiters == nil {
		p.waiters = map[string]map[chan struct{}]bool{}
	}
	if p.waiters[c.ID] == nil {
		p.waiters[c.ID] = map[chan struct{}]bool{}
	}
	p.waiters[c.ID][ch] = true
	// It may have ended between the look and the registration.
	if now, err := p.n.cfg.Engine.Container(context.Background(), c.ID); err != nil || now.State != engine.ContainerRunning {
		delete(p.waiters[c.ID], ch)
		close(ch)
		return ch, func() {}
	}
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiters[c.ID], ch)
		if len(p.waiters[c.ID]) == 0 {
			delete(p.waiters, c.ID)
		}
	}
}

// wake tells who waits for a container's end; p.mu is held.
func (p *pods) wake(id string) {
	for ch := range p.waiters[id] {
		close(ch)
	}
	delete(p.waiters, id)
}

// Dial implements server.Node.
func (v view) Dial(ctx context.Context, ns, pod, uid string, port uint16) (io.ReadWriteCloser, error) {
	e, err := v.find(ns, pod, uid)
	if err != nil {
		return nil, err
	}
	s := e.Sandbox()
	if s.ID == "" {
		return nil, fault.New(fault.Unavailable, "pod %q is not running", ns+"/"+pod)
	}
	return v.n.cfg.Engine.Dial(ctx, s.ID, port)
}

// Summary implements server.Node.
func (v view) Summary(ctx context.Context) (*statsapi.Summary, error) {
	p := v.n.pods
	p.mu.Lock()
	entries := make([]*entry, 0, len(p.workers))
	for _, e := range p.workers {
		entries = append(entries, &entry{Worker: e.Worker, api: e.api})
	}
	p.mu.Unlock()
	out := &statsapi.Summary{Node: nodeStats(v.n), Pods: []statsapi.PodStats{}}
	for _, e := range entries {
		sb := e.Sandbox()
		if sb.ID == "" || sb.State != engine.SandboxReady {
			continue
		}
		s, err := v.n.cfg.Engine.SandboxStats(ctx, sb.ID)
		if err != nil {
			continue // it went while we looked
		}
		byID := map[string]engine.Container{}
		for _, c := range e.Containers() {
			byID[c.ID] = c
		}
		one := stats.Pod(e.api, s, byID)
		for _, u := range p.volumes.Claims(e.api) {
			one.VolumeStats = append(one.VolumeStats, stats.Volume(s.Time, e.api.Namespace, u))
		}
		out.Pods = append(out.Pods, one)
	}
	return out, nil
}

// nodeStats reads the machine's own counters.
func nodeStats(n *Node) statsapi.NodeStats {
	now := time.Now()
	s := statsapi.NodeStats{NodeName: n.cfg.Name, StartTime: metav1.NewTime(n.born)}
	root := n.cfg.HostRoot
	if b, err := os.ReadFile(filepath.Join(root, "proc/stat")); err == nil {
		s.CPU = stats.CPU(now, cpuTime(string(b)))
	}
	if b, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		total, avail := memField(string(b), "MemTotal:"), memField(string(b), "MemAvailable:")
		s.Memory = stats.Memory(now, total-avail, total-avail, memField(string(b), "AnonPages:"), 0, 0)
		s.Memory.AvailableBytes = &avail
	}
	return s
}

// cpuTime is the busy time of all CPUs (proc_stat(5)), in the kernel's fixed 100 ticks a second.
func cpuTime(stat string) time.Duration {
	line, _, _ := strings.Cut(stat, "\n")
	var ticks uint64
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // name, idle, iowait, guest
			continue
		}
		v, _ := strconv.ParseUint(f, 10, 64)
		ticks += v
	}
	return time.Duration(ticks) * (time.Second / 100)
}

func memField(meminfo, name string) uint64 {
	_, rest, ok := strings.Cut(meminfo, name)
	if !ok {
		return 0
	}
	var kb uint64
	_, _ = fmt.Sscan(rest, &kb)
	return kb << 10
}
