package daemon

import (
	"log/slog"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/authn"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/controller"
	"github.com/dhow-project/dhow/internal/engine/local"
	"github.com/dhow-project/dhow/internal/pki"
	"github.com/dhow-project/dhow/internal/store"
)

// daemon is what the parts leave for each other.
type daemon struct {
	config  config.Config
	layout  config.Layout
	log     *slog.Logger
	started time.Time
	failed  chan error
	undo    []func() error
	aborted bool  // the start failed
	cause   error // why it ends although nobody asked

	settled    func()       // lets the next one choose
	listener   net.Listener // of the address the user chose
	dnsPackets []net.PacketConn
	dnsStreams []net.Listener

	keys     *pki.Cluster
	serving  *pki.Live
	store    store.Store
	registry *api.Registry
	server   *apiserver.Server
	tokens   *authn.Tokens
	conn     client.Conn // as system:masters
	caches   *client.Caches
	engine   *local.Engine
	pipes    *pipeListener

	parts       []controller.Part
	runs        []life
	nodes       client.Cache[*corev1.Node]
	nodeChanged chan struct{}
}

// parts is the order in which a cluster comes up.
func parts() []part {
	return []part{
		{"memory", false, (*daemon).scavenge},
		{"lock", false, (*daemon).takeLock},
		{"disk", false, (*daemon).checkRoom},
		{"address", false, (*daemon).takeAddress},
		{"settings", false, (*daemon).keepSettings},
		{"keys", true, (*daemon).openKeys},
		{"engine", true, (*daemon).openEngine},
		{"DNS address", false, (*daemon).takeDNS},
		{"store", true, (*daemon).openStore},
		{"API server", true, (*daemon).startServer},
		{"system objects", true, (*daemon).ensureObjects},
		{"API listening", true, (*daemon).listen},
		{"caches", false, (*daemon).makeCaches},
		{"controllers", false, (*daemon).startControllers},
		{"scheduler", false, (*daemon).startScheduler},
		{"services and DNS", false, (*daemon).startServices},
		{"node", false, (*daemon).startNode},
		{"controllers, scheduler, node", true, (*daemon).runCaches},
		{"engine socket", false, (*daemon).serveEngine},
		{"registry", false, (*daemon).serveRegistry},
		{"kubeconfig", true, (*daemon).writeKubeconfig},
		{"node ready", true, (*daemon).waitReady},
		{"status file", false, (*daemon).announce},
	}
}
