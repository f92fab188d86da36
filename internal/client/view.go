package client

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/shrink"
)

// View is the untyped side of a Cache: what exists of one kind, kept current by a watch.
type View struct {
	conn   Conn
	key    viewKey
	log    *slog.Logger
	synced chan struct{}

	subscribers []func(old, obj api.Object)
	indexers    map[string]func(api.Object) []string

	mu      sync.RWMutex
	count   int
	objects map[string]*names             // by namespace
	indexes map[string]map[string]*bucket // index, value
	frozen  map[api.Object]api.Object     // copies, when guarded
}

type (
	names  = shrink.Map[string, api.Object]
	bucket = shrink.Map[types.NamespacedName, api.Object]
)

func newView(conn Conn, key viewKey, log *slog.Logger, guard bool) *View {
	v := &View{
		conn: conn, key: key, log: log.With("cache", key.kind.Resource), synced: make(chan struct{}),
		indexers: map[string]func(api.Object) []string{},
		objects:  map[string]*names{},
		indexes:  map[string]map[string]*bucket{},
	}
	if guard {
		v.frozen = map[api.Object]api.Object{}
	}
	return v
}

// Kind of the objects. That of custom objects may have changed since: it is the first of its kind.
func (v *View) Kind() *api.Kind { return v.key.kind }

// Synced is Cache.Synced.
func (v *View) Synced() bool {
	select {
	case <-v.synced:
		return true
	default:
		return false
	}
}

// Index is Cache.Index.
func (v *View) Index(name string, f func(api.Object) []string) {
	if v.indexers[name] == nil {
		v.indexers[name], v.indexes[name] = f, map[string]*bucket{}
	}
}

// Subscribe is Cache.Subscribe.
func (v *View) Subscribe(f func(old, obj api.Object)) { v.subscribers = append(v.subscribers, f) }

// Get is Cache.Get.
func (v *View) Get(namespace, name string) (api.Object, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if in := v.objects[namespace]; in != nil {
		return in.Get(name)
	}
	return nil, false
}

// List is Cache.List.
func (v *View) List() []api.Object {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]api.Object, 0, v.count)
	for _, in := range v.objects {
		for _, o := range in.All() {
			out = append(out, o)
		}
	}
	return out
}

// In is Cache.In.
func (v *View) In(namespace string) []api.Object {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return values(v.objects[namespace])
}

// By is Cache.By.
func (v *View) By(index, value string) []api.Object {
	v.mu.RLock()
	defer v.mu.RUnlock()
	under, ok := v.indexes[index]
	if !ok {
		panic("client: cache of " + v.key.kind.Resource + " has no index " + index)
	}
	return values(under[value])
}

// values of a map that may be nil.
func values[K comparable](m *shrink.Map[K, api.Object]) []api.Object {
	if m == nil {
		return []api.Object{}
	}
	out := make([]api.Object, 0, m.Len())
	for _, o := range m.All() {
		out = append(out, o)
	}
	return out
}

// Len is Cache.Len.
func (v *View) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.count
}

// put stores obj and tells the subscribers.
func (v *View) put(obj api.Object) { v.change(obj.GetNamespace(), obj.GetName(), obj) }

// drop forgets an object and tells the subscribers.
func (v *View) drop(namespace, name string) { v.change(namespace, name, nil) }

func (v *View) change(namespace, name string, obj api.Object) {
	old := v.store(namespace, name, obj)
	if old == nil && obj == nil {
		return
	}
	// A name that was freed and taken again is two objects.
	if old != nil && obj != nil && old.GetUID() != obj.GetUID() {
		v.tell(old, nil)
		old = nil
	}
	if old != nil && obj != nil && old.GetResourceVersion() == obj.GetResourceVersion() {
		return
	}
	v.tell(old, obj)
}

func (v *View) tell(old, obj api.Object) {
	for _, f := range v.subscribers {
		f(old, obj)
	}
}

func (v *View) store(namespace, name string, obj api.Object) (old api.Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	in := v.objects[namespace]
	if in == nil {
		in = &names{}
		v.objects[namespace] = in
	}
	old, _ = in.Get(name)
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if old != nil {
		v.unindex(key, old)
		v.count--
	}
	if obj == nil {
		in.Delete(name)
		if in.Len() == 0 {
			delete(v.objects, namespace)
		}
		return old
	}
	in.Set(name, obj)
	v.count++
	for index, f := range v.indexers {
		for _, value := range f(obj) {
			b := v.indexes[index][value]
			if b == nil {
				b = &bucket{}
				v.indexes[index][value] = b
			}
			b.Set(key, obj)
		}
	}
	if v.frozen != nil {
		v.frozen[obj] = obj.DeepCopyObject().(api.Object)
	}
	return old
}

func (v *View) unindex(key types.NamespacedName, old api.Object) {
	for index, f := range v.indexers {
		for _, value := range f(old) {
			b := v.indexes[index][value]
			if b == nil {
				continue // the function gave this value twice
			}
			b.Delete(key)
			if b.Len() == 0 {
				delete(v.indexes[index], value)
			}
		}
	}
}

// keys of everything present.
func (v *View) keys() map[types.NamespacedName]bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[types.NamespacedName]bool, v.count)
	for ns, in := range v.objects {
		for name := range in.All() {
			out[types.NamespacedName{Namespace: ns, Name: name}] = true
		}
	}
	return out
}

func (v *View) checkUnchanged() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var errs []error
	for o, copy := range v.frozen {
		if !equality.Semantic.DeepEqual(o, copy) {
			errs = append(errs, fmt.Errorf("shared %s %s/%s was modified", v.key.kind.Kind, copy.GetNamespace(), copy.GetName()))
		}
	}
	return errors.Join(errs...)
}
