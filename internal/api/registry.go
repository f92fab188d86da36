package api

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Registry finds kinds. Built-in kinds stay; custom ones come, change and go. It is safe for concurrent use.
type Registry struct {
	mu        sync.Mutex // of writers
	index     atomic.Pointer[index]
	listeners []func(old, k *Kind)
}

// index is never changed.
type index struct {
	kinds      []*Kind
	byResource map[schema.GroupResource]*Kind
	byKind     map[schema.GroupKind]*Kind
}

// NewRegistry indexes kinds. Two kinds with one name are a programming error and panic.
func NewRegistry(kinds []*Kind) *Registry {
	x, err := newIndex(kinds)
	if err != nil {
		panic(err)
	}
	r := &Registry{}
	r.index.Store(x)
	return r
}

func newIndex(kinds []*Kind) (*index, error) {
	x := &index{kinds, map[schema.GroupResource]*Kind{}, map[schema.GroupKind]*Kind{}}
	for _, k := range kinds {
		groups := map[string]bool{}
		for _, v := range k.Versions {
			if groups[v.Group] {
				continue
			}
			groups[v.Group] = true
			gr, gk := schema.GroupResource{Group: v.Group, Resource: k.Resource}, schema.GroupKind{Group: v.Group, Kind: k.Kind}
			if x.byResource[gr] != nil {
				return nil, fmt.Errorf("api: %s registered twice", gr)
			}
			if x.byKind[gk] != nil && k.Custom != nil {
				return nil, fmt.Errorf("api: %s registered twice", gk)
			}
			x.byResource[gr], x.byKind[gk] = k, k
		}
	}
	return x, nil
}

// Replace puts k in the place of old; old is nil for a new kind, k for one that goes. Who listens has been told when it returns.
func (r *Registry) Replace(old, k *Kind) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kinds := slices.Clone(r.Kinds())
	at := slices.Index(kinds, old)
	switch {
	case old == nil:
		kinds = append(kinds, k)
	case at < 0:
		return fmt.Errorf("api: %s is not registered", old.Kind)
	case k == nil:
		kinds = slices.Delete(kinds, at, at+1)
	default:
		kinds[at] = k
	}
	x, err := newIndex(kinds)
	if err != nil {
		return err
	}
	r.index.Store(x)
	for _, f := range r.listeners {
		f(old, k)
	}
	return nil
}

// OnChange calls f after every Replace with its arguments. f must not block.
func (r *Registry) OnChange(f func(old, k *Kind)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, f)
}

// Kinds in the order of their registration.
func (r *Registry) Kinds() []*Kind { return r.index.Load().kinds }

// Resource finds by group and plural; nil when there is none.
func (r *Registry) Resource(gr schema.GroupResource) *Kind { return r.index.Load().byResource[gr] }

// Kind finds by group and kind; nil when there is none.
func (r *Registry) Kind(gk schema.GroupKind) *Kind { return r.index.Load().byKind[gk] }

// Current is k, or what has taken its place; nil when it is gone.
func (r *Registry) Current(k *Kind) *Kind {
	if k.Custom == nil {
		return k
	}
	if now := r.Resource(k.GroupResource()); now != nil && now.Root() == k.Root() {
		return now
	}
	return nil
}
