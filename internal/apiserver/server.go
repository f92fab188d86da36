// Package apiserver serves the Kubernetes API over a store, generically over
// the kinds that package api describes.
//
// Files: http.go is the way of a request in, write.go the ordered list of a
// write's stages, list.go and watch.go reading, conn.go the same API for
// parts in this process. It must not know controllers or nodes' engines; who
// may do what is decided by what Config plugs in. Read this file first.
package apiserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/aggregate"
	"github.com/dhow-project/dhow/internal/apiserver/apply"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Connector serves a subresource that is a stream (pods/exec, nodes/proxy …). c says what for.
type Connector func(w http.ResponseWriter, r *http.Request, c *Connection)

// Connection is what a Connector is asked to connect to.
type Connection struct {
	User            *request.User
	Kind            *api.Kind
	Subresource     string
	Namespace, Name string
	Path            string // what follows the subresource in the URL, for proxies; begins with "/" or is empty
	Reader          request.Reader
}

// Virtual answers the creation of a kind that is not stored (reviews) or of a subresource
// with a body of its own (tokens). obj is decoded, defaulted and validated; the answer may be obj itself.
type Virtual func(ctx context.Context, w *request.Write) (runtime.Object, error)

// Aggregator knows the group versions that other servers serve.
type Aggregator interface {
	// Serve answers a request when another server serves its group version; false: none does.
	Serve(w http.ResponseWriter, r *http.Request, u *request.User) bool
	// Offers are these group versions.
	Offers() []aggregate.Offer
}

// Config is what a server is made of.
type Config struct {
	Store          store.Store
	Transform      cache.Transform // encryption at rest
	Registry       *api.Registry
	Authenticators []request.Authenticator // asked in order; nobody's request is anonymous
	Authorizers    []request.Authorizer    // asked in order; an empty list allows everything
	Admission      []request.Step
	// Connect by "resource/subresource": "pods/exec".
	Connect map[string]Connector
	// Virtual by GroupResource of the kind, or "resource/subresource" in the resource ("serviceaccounts/token").
	Virtual map[schema.GroupResource]Virtual
	// Extra handlers by path; a path that ends in "/" serves all below it.
	Extra map[string]http.Handler
	// Aggregator passes requests to servers that serve a part of the API; nil means there are none.
	Aggregator Aggregator
	// Checks of /livez and /readyz by name.
	Checks map[string]func(context.Context) error
	Log    *slog.Logger
	// Version of /version.
	Version version.Info
	// MaxInFlight caps requests that are not watches or connections; 0 means 800.
	MaxInFlight int
	// EventTTL is how long events live; 0 means an hour.
	EventTTL time.Duration
	Now      func() time.Time // nil means time.Now
}

// Server is safe for concurrent use. Use New, then Start, then Run.
type Server struct {
	Config
	cache    *cache.Cache
	fields   *apply.Tracker
	inflight chan struct{}
	catalog  atomic.Pointer[catalog]
	putting  sync.Mutex // of Put and Remove
	expiry   *expiry
	times    times
	ended    chan struct{} // closed when Run ends: watches end with it
}

// New makes a server; no I/O.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Registry == nil {
		return nil, fmt.Errorf("apiserver: Store and Registry are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = 800
	}
	if cfg.EventTTL == 0 {
		cfg.EventTTL = time.Hour
	}
	s := &Server{
		Config:   cfg,
		cache:    cache.New(cfg.Store, cfg.Registry, cfg.Transform, cfg.Log),
		inflight: make(chan struct{}, cfg.MaxInFlight),
		ended:    make(chan struct{}),
	}
	s.fields = apply.New()
	s.catalog.Store(newCatalog(cfg.Registry.Kinds()))
	s.expiry = newExpiry(s)
	return s, nil
}

// Start loads everything that is stored. Requests may come after it returned and Run was called.
func (s *Server) Start(ctx context.Context) error {
	if err := s.cache.Load(ctx); err != nil {
		return fmt.Errorf("start API server: %w", err)
	}
	return nil
}

// Run follows the store until ctx ends; watches end then too. Nothing is answered without it. It is called once.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.ended)
	g := run.New(ctx)
	g.Go("cache", s.cache.Run)
	g.Go("expiry", s.expiry.run)
	return g.Wait()
}

// Reader is the server's own view of all objects.
func (s *Server) Reader() request.Reader { return s.cache }

// Fields is what merges objects and keeps track of who owns their fields.
func (s *Server) Fields() *apply.Tracker { return s.fields }

func (s *Server) now() metav1.Time { return metav1.NewTime(s.Now().Truncate(time.Second)) }
