// Package node is the kubelet: it registers this machine, runs the pods bound to
// it through an engine.Engine, and reports.
//
// It meets the rest of the cluster only in the API. Read Run (the order), then
// pods.go (who runs what), then pod/plan.go (one pod's life).
package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Config of a node. Name, Dir, Engine and Conn are required.
type Config struct {
	Name      string
	Addresses []net.IP // primary first; the node's internal addresses
	Dir       string   // data: pods/ below it; logs/ unless LogDir is set
	LogDir    string   // container logs; empty: <Dir>/logs
	Storage   string   // directory, absolute, of volumes that are provisioned here; empty: none are
	Engine    engine.Engine
	Conn      client.Conn
	DNS       DNS
	// Capacity overrides what is found on this machine (fake nodes); Reserved is kept from pods.
	Capacity, Reserved corev1.ResourceList
	MaxPods            int64 // 0: 110
	PodPids            int64 // process limit of one pod; 0: none
	NoMounts           bool  // keep volumes in plain directories: fake nodes, users who are not root
	Labels             map[string]string
	Taints             []corev1.Taint
	Version            string // of dhow, for containerRuntimeVersion
	Port               int32  // of the node's HTTPS API, advertised
	Log                *slog.Logger
	// HostRoot is tried for resolv.conf and os-release; "" is "/".
	HostRoot string
	// Authorize allows a request to Handler; nil allows all (an in-process caller has checked already).
	Authorize                 func(*http.Request) error
	LeasePeriod, StatusPeriod time.Duration // 0: 10 s and 5 min
}

// DNS is what pods with dnsPolicy ClusterFirst get.
type DNS struct {
	ClusterIP string // empty: the host's servers
	Domain    string // "cluster.local"
}

// Node is one node. Use New.
type Node struct {
	cfg  Config
	log  *slog.Logger
	pods *pods
	self *self
	born time.Time

	mu      sync.Mutex
	started bool
}

// New makes a node; nothing happens before Run.
func New(cfg Config) *Node {
	cfg.defaults()
	n := &Node{cfg: cfg, log: cfg.Log, born: time.Now()}
	n.self = newSelf(&n.cfg)
	n.pods = newPods(n)
	return n
}

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxPods == 0 {
		c.MaxPods = 110
	}
	if c.LogDir == "" {
		c.LogDir = c.Dir + "/logs"
	}
	if c.DNS.Domain == "" {
		c.DNS.Domain = "cluster.local"
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Port == 0 {
		c.Port = 10250
	}
	if c.HostRoot == "" {
		c.HostRoot = "/"
	}
	if c.LeasePeriod == 0 {
		c.LeasePeriod = 10 * time.Second
	}
	if c.StatusPeriod == 0 {
		c.StatusPeriod = 5 * time.Minute
	}
}

// Run is the node's life: it returns when ctx ends and everything it started has ended. Containers keep running.
func (n *Node) Run(ctx context.Context) error {
	n.mu.Lock()
	if n.started {
		n.mu.Unlock()
		return errors.New("run node: a node runs once")
	}
	n.started = true
	n.mu.Unlock()

	g := run.New(ctx)
	g.Go("register node", n.self.run)
	g.Go("renew lease", func(ctx context.Context) error { return n.self.lease(ctx, n.chores) })
	g.Go("run pods", n.pods.run)
	if n.cfg.Storage != "" {
		g.Go("remove volumes", newStorage(n).run)
	}
	return g.Wait()
}

// chores ride on the lease's tick: they cost microseconds when there is nothing to do.
func (n *Node) chores(ctx context.Context) {
	n.pods.rotateLogs(ctx)
	n.self.checkEngine(ctx)
}
