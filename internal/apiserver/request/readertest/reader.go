// Package readertest is a request.Reader over a map, for tests of the stages.
package readertest

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Reader keeps objects by kind, namespace and name. Use New.
type Reader struct {
	registry *api.Registry
	mu       sync.Mutex
	objects  map[key]api.Object
	watchers map[*api.Kind][]func(old, obj api.Object)
}

type key struct {
	kind            *api.Kind
	namespace, name string
}

var _ request.Reader = (*Reader)(nil)

// New makes an empty reader of the kinds.
func New(kinds ...*api.Kind) *Reader {
	return &Reader{registry: api.NewRegistry(kinds), objects: map[key]api.Object{}, watchers: map[*api.Kind][]func(old, obj api.Object){}}
}

// Kind describes a kind as far as stages look: T is the pointer type of its objects.
func Kind[T any, P interface {
	*T
	api.Object
}](group, version, kind, resource string, namespaced bool) *api.Kind {
	return &api.Kind{Kind: kind, Resource: resource, Namespaced: namespaced, Versions: []api.Version{{
		Group: group, Version: version,
		New:     func() api.Object { return P(new(T)) },
		NewList: func() runtime.Object { return nil },
	}}}
}

// Registry implements request.Reader.
func (r *Reader) Registry() *api.Registry { return r.registry }

// Get implements request.Reader.
func (r *Reader) Get(k *api.Kind, namespace, name string) (api.Object, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.objects[key{k, namespace, name}]
	return o, ok
}

// Each implements request.Reader.
func (r *Reader) Each(k *api.Kind, namespace string, f func(api.Object) bool) {
	r.mu.Lock()
	var list []api.Object
	for id, o := range r.objects {
		if id.kind == k && (namespace == "" || id.namespace == namespace) {
			list = append(list, o)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b api.Object) int {
		return slices.Compare([]string{a.GetNamespace(), a.GetName()}, []string{b.GetNamespace(), b.GetName()})
	})
	for _, o := range list {
		if !f(o) {
			return
		}
	}
}

// OnChange implements request.Reader.
func (r *Reader) OnChange(k *api.Kind, f func(old, obj api.Object)) {
	r.watchers[k] = append(r.watchers[k], f)
}

// Put stores objects, each of a registered type, and tells those who listen.
func (r *Reader) Put(objects ...api.Object) {
	for _, o := range objects {
		k := r.kindOf(o)
		r.mu.Lock()
		id := key{k, o.GetNamespace(), o.GetName()}
		old := r.objects[id]
		r.objects[id] = o
		r.mu.Unlock()
		for _, f := range r.watchers[k] {
			f(old, o)
		}
	}
}

// Delete removes an object by its kind and name.
func (r *Reader) Delete(o api.Object) {
	k := r.kindOf(o)
	r.mu.Lock()
	id := key{k, o.GetNamespace(), o.GetName()}
	old := r.objects[id]
	delete(r.objects, id)
	r.mu.Unlock()
	for _, f := range r.watchers[k] {
		f(old, nil)
	}
}

func (r *Reader) kindOf(o api.Object) *api.Kind {
	for _, k := range r.registry.Kinds() {
		if sameType(k.Hub().New(), o) {
			return k
		}
	}
	panic("readertest: type is not registered")
}
