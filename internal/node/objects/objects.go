// Package objects gives the node the ConfigMaps and Secrets its pods name, live,
// and no others.
//
// Each is watched once however many pods name it, from the first pod's arrival
// to the last one's end.
package objects

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/node/follow"
)

// Kind of an object a pod may name.
type Kind uint8

// Kinds.
const (
	ConfigMap Kind = iota
	Secret
)

// Ref names one object.
type Ref struct {
	Kind            Kind
	Namespace, Name string
}

// Set is all objects in use. Use New.
type Set struct {
	ctx   context.Context
	wg    *sync.WaitGroup
	conn  client.Conn
	kinds [2]*api.Kind
	log   *slog.Logger

	mu   sync.Mutex
	refs map[Ref]*live
	held map[types.UID]map[Ref]bool
}

type live struct {
	*follow.Follower
	stop    context.CancelFunc
	holders map[types.UID]func()
}

// New makes an empty set; its watches end with ctx and are counted by wg.
func New(ctx context.Context, wg *sync.WaitGroup, conn client.Conn, log *slog.Logger) *Set {
	return &Set{ctx: ctx, wg: wg, conn: conn, log: log, refs: map[Ref]*live{}, held: map[types.UID]map[Ref]bool{},
		kinds: [2]*api.Kind{client.KindOf[*corev1.ConfigMap](conn.Registry()), client.KindOf[*corev1.Secret](conn.Registry())}}
}

// Hold watches what pod names from now on; changed is called, from another goroutine, for every change.
// It may be called again when the pod names more.
func (s *Set) Hold(pod *corev1.Pod, changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held[pod.UID]
	for _, r := range Of(pod) {
		if held[r] {
			continue
		}
		if held == nil {
			held = map[Ref]bool{}
			s.held[pod.UID] = held
		}
		held[r] = true
		s.open(r).holders[pod.UID] = changed
	}
}

// open finds or begins the watch of r; s.mu is held.
func (s *Set) open(r Ref) *live {
	if l := s.refs[r]; l != nil {
		return l
	}
	ctx, stop := context.WithCancel(s.ctx)
	l := &live{stop: stop, holders: map[types.UID]func(){}}
	l.Follower = follow.New(s.conn, s.log, follow.Options{
		Kind: s.kinds[r.Kind], Namespace: r.Namespace, Fields: "metadata.name=" + r.Name,
		Changed: func(_, _ api.Object) { s.tell(l) },
	})
	s.refs[r] = l
	s.wg.Go(func() { _ = l.Run(ctx) })
	return l
}

func (s *Set) tell(l *live) {
	s.mu.Lock()
	calls := make([]func(), 0, len(l.holders))
	for _, f := range l.holders {
		calls = append(calls, f)
	}
	s.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// Drop ends what only this pod named.
func (s *Set) Drop(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.held[uid] {
		l := s.refs[r]
		if delete(l.holders, uid); len(l.holders) == 0 {
			l.stop()
			delete(s.refs, r)
		}
	}
	delete(s.held, uid)
}

// longest is how long a read waits for the first answer of the API.
const longest = 30 * time.Second

func (s *Set) get(ctx context.Context, r Ref) (api.Object, error) {
	k := s.kinds[r.Kind]
	s.mu.Lock()
	l := s.refs[r]
	s.mu.Unlock()
	if l == nil {
		return nil, apierrors.NewInternalError(errNotHeld)
	}
	select {
	case <-l.Synced():
	default:
		ctx, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		select {
		case <-l.Synced():
		case <-ctx.Done():
			return nil, apierrors.NewTimeoutError("waiting for "+k.Resource+" "+r.Namespace+"/"+r.Name, 1)
		}
	}
	if o, ok := l.Get(r.Namespace, r.Name); ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(k.GroupResource(), r.Name)
}

// ConfigMap reads one that a pod holds. It waits for the API's first answer only.
func (s *Set) ConfigMap(ctx context.Context, ns, name string) (*corev1.ConfigMap, error) {
	o, err := s.get(ctx, Ref{ConfigMap, ns, name})
	if err != nil {
		return nil, err
	}
	return o.(*corev1.ConfigMap), nil
}

// Secret reads one that a pod holds.
func (s *Set) Secret(ctx context.Context, ns, name string) (*corev1.Secret, error) {
	o, err := s.get(ctx, Ref{Secret, ns, name})
	if err != nil {
		return nil, err
	}
	return o.(*corev1.Secret), nil
}
