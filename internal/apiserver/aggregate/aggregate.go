// Package aggregate lets other servers serve a part of the API, as APIServices
// with a service say, and lists what this server serves as local APIServices.
//
// serve.go passes requests on, available.go decides whether a server can take them, probe.go asks it, local.go
// keeps the local APIServices. Everything is driven by changes of APIServices, Services and
// EndpointSlices; while there are servers of others, each is asked again every half minute, as upstream does.
// It must not know how this server serves what is its own. Read this file first.
package aggregate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Documents take in the OpenAPI documents of other servers.
type Documents interface {
	Add(path, hash string, build func() ([]byte, error))
	Remove(path string)
}

// Config says what an Aggregator works with.
type Config struct {
	Reader    request.Reader
	Conn      client.Conn // may do everything
	Resolver  webhook.Resolver
	Documents Documents
	// Certificate is shown to other servers; they know its CA from kube-system/extension-apiserver-authentication.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	Log         *slog.Logger // nil means none
}

// Aggregator is safe for concurrent use. Use New before the server starts, then Run.
type Aggregator struct {
	Config
	kind     *api.Kind
	services client.Client[*apiregistrationv1.APIService]
	queue    *client.Queue[string] // names of APIServices
	local    *client.Queue[string] // "" when the local ones are to be looked at

	mu      sync.Mutex
	remotes atomic.Pointer[map[schema.GroupVersion]*remote] // replaced, never changed
}

// New makes it and follows what it depends on.
func New(cfg Config) *Aggregator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Aggregator{Config: cfg, queue: client.NewQueue[string](), local: client.NewQueue[string](),
		services: client.For[*apiregistrationv1.APIService](cfg.Conn)}
	a.remotes.Store(&map[schema.GroupVersion]*remote{})
	r := cfg.Reader
	a.kind = r.Registry().Resource(schema.GroupResource{Group: apiregistrationv1.GroupName, Resource: "apiservices"})
	r.OnChange(a.kind, a.changed)
	r.OnChange(r.Registry().Resource(corev1.Resource("services")), func(old, o api.Object) {
		o = either(old, o)
		a.wake(o.GetNamespace(), o.GetName())
	})
	r.OnChange(r.Registry().Resource(discoveryv1.Resource("endpointslices")), func(old, o api.Object) {
		o = either(old, o)
		a.wake(o.GetNamespace(), o.GetLabels()[discoveryv1.LabelServiceName])
	})
	r.Registry().OnChange(func(_, _ *api.Kind) { a.local.Add("") })
	a.local.Add("")
	return a
}

func either(old, o api.Object) api.Object {
	if o == nil {
		return old
	}
	return o
}

// Run keeps conditions and local APIServices true until ctx ends.
func (a *Aggregator) Run(ctx context.Context) error {
	g := run.New(ctx)
	g.Go("remote API services", func(ctx context.Context) error { return work(ctx, a.queue, a.sync, a.Log) })
	g.Go("local API services", func(ctx context.Context) error { return work(ctx, a.local, a.syncLocal, a.Log) })
	return g.Wait()
}

func work(ctx context.Context, q *client.Queue[string], do func(context.Context, string) error, log *slog.Logger) error {
	defer q.Close()
	for {
		name, ok := q.Get(ctx)
		if !ok {
			return nil
		}
		if err := do(ctx, name); err == nil {
			q.Forget(name)
		} else if ctx.Err() == nil {
			log.Info("sync API service", "name", name, "err", err)
			q.Retry(name)
		}
		q.Done(name)
	}
}

// changed takes in an APIService at once: requests find a new one, still unavailable, when its write is answered.
func (a *Aggregator) changed(old, o api.Object) {
	was, _ := old.(*apiregistrationv1.APIService)
	now, _ := o.(*apiregistrationv1.APIService)
	switch {
	case now != nil && now.Spec.Service != nil:
		a.put(now)
	case was != nil && was.Spec.Service != nil:
		a.drop(groupVersion(was))
	}
	a.queue.Add(either(old, o).GetName())
	a.local.Add("")
}

func groupVersion(s *apiregistrationv1.APIService) schema.GroupVersion {
	return schema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}
}

// wake has those APIServices looked at whose service it is.
func (a *Aggregator) wake(namespace, name string) {
	for _, r := range *a.remotes.Load() {
		if r.spec.Service.Namespace == namespace && r.spec.Service.Name == name {
			a.queue.Add(r.name)
		}
	}
}

func (a *Aggregator) put(s *apiregistrationv1.APIService) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gv := groupVersion(s)
	have := (*a.remotes.Load())[gv]
	next := a.newRemote(s, have)
	if next == have {
		return
	}
	all := maps.Clone(*a.remotes.Load())
	all[gv] = next
	a.remotes.Store(&all)
}

func (a *Aggregator) drop(gv schema.GroupVersion) {
	a.mu.Lock()
	have := (*a.remotes.Load())[gv]
	if have != nil {
		all := maps.Clone(*a.remotes.Load())
		delete(all, gv)
		a.remotes.Store(&all)
	}
	a.mu.Unlock()
	if have != nil {
		have.close()
		a.Documents.Remove(path(gv))
	}
}

// recheck is how often a server of others is asked whether it still answers, as upstream's resync.
const recheck = 30 * time.Second

// sync finds out whether an APIService is available and says so in its status.
func (a *Aggregator) sync(ctx context.Context, name string) error {
	found, ok := a.Reader.Get(a.kind, "", name)
	if !ok {
		return nil
	}
	s := found.(*apiregistrationv1.APIService)
	if s.Spec.Service == nil {
		return a.report(ctx, s, available("Local", "Local APIServices are always available"))
	}
	r := (*a.remotes.Load())[groupVersion(s)]
	if r == nil || r.name != name {
		return nil
	}
	condition, err := a.check(ctx, r)
	r.available.Store(condition.Status == apiregistrationv1.ConditionTrue)
	if rerr := a.report(ctx, s, condition); rerr != nil {
		return rerr
	}
	a.queue.AddAfter(name, recheck)
	return err
}

// report sets the condition; nothing is written when it says what it said.
func (a *Aggregator) report(ctx context.Context, s *apiregistrationv1.APIService, c apiregistrationv1.APIServiceCondition) error {
	c.LastTransitionTime = metav1.Now()
	i := slices.IndexFunc(s.Status.Conditions, func(h apiregistrationv1.APIServiceCondition) bool { return h.Type == c.Type })
	next := s.DeepCopy()
	if i < 0 {
		next.Status.Conditions = append(next.Status.Conditions, c)
	} else {
		have := s.Status.Conditions[i]
		if have.Status == c.Status {
			c.LastTransitionTime = have.LastTransitionTime
		}
		if have.Status == c.Status && have.Reason == c.Reason && have.Message == c.Message {
			return nil
		}
		next.Status.Conditions[i] = c
	}
	_, err := a.services.UpdateStatus(ctx, next)
	return ignoreGone(err)
}
