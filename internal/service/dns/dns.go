// Package dns answers names of Services and pods from live caches, in process, and
// passes everything else on to the host's own resolvers.
//
// It follows the Kubernetes DNS specification 1.1.0. It does not know how the
// objects get here nor who routes the cluster's DNS address to it. zone.go is the data, names.go says
// which names an object has, answer.go decides a reply, forward.go asks others. Start with answer.go.
package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Cache is what the server needs of a live view of one kind; client.Cache is one.
type Cache[T any] interface {
	// Subscribe calls f for every change, old or new being nil for additions and deletions. f does not block.
	Subscribe(f func(old, new T))
	Get(namespace, name string) (T, bool)
	// Index names values of every object; By finds the objects by one.
	Index(name string, values func(T) []string)
	By(index, value string) []T
}

// Config of a Server.
type Config struct {
	Zone string // "cluster.local"
	// Listen are addresses to serve, UDP and TCP: those of the sandboxes' gateway, port 53. A Service's address
	// with a hand-made EndpointSlice that names them makes the cluster's DNS address work.
	Listen []netip.AddrPort
	// PacketConns and Listeners are served besides and closed at the end.
	PacketConns []net.PacketConn
	Listeners   []net.Listener
	// Addresses of the name server as its clients see it (the cluster DNS IP); for the zone's NS record.
	Addresses []netip.Addr
	Services  Cache[*corev1.Service]
	Slices    Cache[*discoveryv1.EndpointSlice]
	// Upstreams are resolvers for all other names, "192.0.2.1:53". Empty: those of ResolvConf, followed as it changes.
	Upstreams  []string
	ResolvConf string // "" means /etc/resolv.conf
	Log        *slog.Logger
}

// Server answers DNS. Use New, then Run once.
type Server struct {
	cfg     Config
	zone    *zone
	forward *forwarder

	mu    sync.Mutex
	dirty map[types.NamespacedName]bool
	wake  chan struct{}
	ready chan struct{}
}

// New subscribes to the caches, which are not running yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	cfg.Zone = dns.CanonicalName(cfg.Zone)
	s := &Server{cfg: cfg, zone: newZone(cfg.Zone, cfg.Addresses), forward: newForwarder(cfg.Upstreams),
		dirty: map[types.NamespacedName]bool{}, wake: make(chan struct{}, 1), ready: make(chan struct{})}
	cfg.Services.Subscribe(func(old, new *corev1.Service) {
		for _, o := range []*corev1.Service{old, new} {
			if o != nil {
				s.mark(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
			}
		}
	})
	cfg.Slices.Index(byService, func(o *discoveryv1.EndpointSlice) []string { return []string{serviceOf(o).String()} })
	cfg.Slices.Subscribe(func(old, new *discoveryv1.EndpointSlice) {
		for _, o := range []*discoveryv1.EndpointSlice{old, new} {
			if o != nil && o.Labels[discoveryv1.LabelServiceName] != "" {
				s.mark(serviceOf(o))
			}
		}
	})
	return s
}

const byService = "service"

func serviceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

func (s *Server) mark(name types.NamespacedName) {
	s.mu.Lock()
	s.dirty[name] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Ready is closed when all sockets are open.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends. Before the caches are synced names are missing, so serve after.
func (s *Server) Run(ctx context.Context) error {
	s.sync()
	servers, err := s.bind()
	if err != nil {
		return fmt.Errorf("serve dns: %w", err)
	}
	close(s.ready)
	g := run.New(ctx)
	for _, srv := range servers {
		g.Go("dns socket", func(ctx context.Context) error { return serve(ctx, srv) })
	}
	g.Go("dns zone", s.follow)
	if len(s.cfg.Upstreams) == 0 {
		g.Go("resolv.conf", s.watchResolvConf)
	}
	return g.Wait()
}

// follow keeps the zone in step with the caches.
func (s *Server) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			s.sync()
		}
	}
}

func (s *Server) sync() {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = map[types.NamespacedName]bool{}
	s.mu.Unlock()
	for name := range dirty {
		var records []record
		if svc, ok := s.cfg.Services.Get(name.Namespace, name.Name); ok {
			records = recordsOf(s.cfg.Zone, svc, s.cfg.Slices.By(byService, name.String()))
		}
		s.zone.replace(name, records)
	}
}

// Limits of a client's connection.
const (
	maxUDP      = 4096 // bytes of a query
	idleTimeout = 10 * time.Second
)

func (s *Server) bind() ([]*dns.Server, error) {
	packets, streams := s.cfg.PacketConns, s.cfg.Listeners
	for _, a := range s.cfg.Listen {
		u, err := net.ListenPacket("udp", a.String())
		if err == nil {
			packets = append(packets, u)
			var l net.Listener
			if l, err = net.Listen("tcp", a.String()); err == nil {
				streams = append(streams, l)
			}
		}
		if err != nil {
			closeAll(packets, streams)
			return nil, fault.New(fault.Unavailable, "listen on %s: %w", a, err)
		}
	}
	var out []*dns.Server
	for _, p := range packets {
		out = append(out, &dns.Server{PacketConn: p, Handler: s, UDPSize: maxUDP})
	}
	for _, l := range streams {
		out = append(out, &dns.Server{Listener: l, Handler: s, IdleTimeout: func() time.Duration { return idleTimeout }})
	}
	return out, nil
}

func closeAll(packets []net.PacketConn, streams []net.Listener) {
	for _, p := range packets {
		p.Close()
	}
	for _, l := range streams {
		l.Close()
	}
}

// serve runs one socket; it returns when its last query is answered.
func serve(ctx context.Context, srv *dns.Server) error {
	started := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	done := make(chan error, 1)
	go func() { done <- srv.ActivateAndServe() }()
	select {
	case err := <-done:
		return err
	case <-started:
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	return errors.Join(srv.Shutdown(), <-done)
}

// within tells whether name is zone or below it. Both are canonical.
func within(name, zone string) bool {
	return name == zone || zone == "." || strings.HasSuffix(name, zone) && strings.HasSuffix(name[:len(name)-len(zone)], ".")
}
