package node

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// memConn is as much of an API server as a node sees.
type memConn struct {
	reg  *api.Registry
	down atomic.Bool // updates are refused

	mu       sync.Mutex
	rev      int
	objs     map[string]api.Object // resource/ns/name
	watchers map[*memWatch]bool
	writes   map[string]int
}

func kind(name, resource, group string, namespaced bool, obj func() api.Object) *api.Kind {
	return &api.Kind{Kind: name, Resource: resource, Namespaced: namespaced, Versions: []api.Version{{Group: group, Version: "v1", New: obj}}}
}

func newMemConn() *memConn {
	return &memConn{objs: map[string]api.Object{}, watchers: map[*memWatch]bool{}, writes: map[string]int{}, reg: api.NewRegistry([]*api.Kind{
		kind("Pod", "pods", "", true, func() api.Object { return &corev1.Pod{} }),
		kind("Node", "nodes", "", false, func() api.Object { return &corev1.Node{} }),
		kind("Event", "events", "", true, func() api.Object { return &corev1.Event{} }),
		kind("ConfigMap", "configmaps", "", true, func() api.Object { return &corev1.ConfigMap{} }),
		kind("Secret", "secrets", "", true, func() api.Object { return &corev1.Secret{} }),
		kind("Service", "services", "", true, func() api.Object { return &corev1.Service{} }),
		kind("ServiceAccount", "serviceaccounts", "", true, func() api.Object { return &corev1.ServiceAccount{} }),
		kind("PersistentVolume", "persistentvolumes", "", false, func() api.Object { return &corev1.PersistentVolume{} }),
		kind("PersistentVolumeClaim", "persistentvolumeclaims", "", true, func() api.Object { return &corev1.PersistentVolumeClaim{} }),
		kind("Lease", "leases", "coordination.k8s.io", true, func() api.Object { return &coordinationv1.Lease{} }),
	})}
}

func (m *memConn) Registry() *api.Registry { return m.reg }

func path(k *api.Kind, ns, name string) string { return k.Resource + "/" + ns + "/" + name }

func (m *memConn) Get(_ context.Context, k *api.Kind, ns, name string, _ metav1.GetOptions) (api.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.objs[path(k, ns, name)]; o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(k.GroupResource(), name)
}

func (m *memConn) List(_ context.Context, k *api.Kind, ns string, _ metav1.ListOptions) (client.List, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var l client.List
	for p, o := range m.objs {
		if strings.HasPrefix(p, k.Resource+"/") && (ns == "" || o.GetNamespace() == ns) {
			l.Items = append(l.Items, o)
		}
	}
	return l, nil
}

type memWatch struct {
	m      *memConn
	k      *api.Kind
	ns     string
	fields string
	ch     chan client.Event
	ctx    context.Context
}

func (w *memWatch) matches(p string, o api.Object) bool {
	if !strings.HasPrefix(p, w.k.Resource+"/") || w.ns != "" && o.GetNamespace() != w.ns {
		return false
	}
	k, v, _ := strings.Cut(w.fields, "=")
	switch k {
	case "metadata.name":
		return o.GetName() == v
	case "spec.nodeName":
		return o.(*corev1.Pod).Spec.NodeName == v
	}
	return true
}

func (w *memWatch) Next() ([]client.Event, error) {
	select {
	case ev := <-w.ch:
		return []client.Event{ev}, nil
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	}
}

func (w *memWatch) Close() {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	delete(w.m.watchers, w)
}

func (m *memConn) Watch(ctx context.Context, k *api.Kind, ns string, o metav1.ListOptions) (client.Watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memWatch{m: m, k: k, ns: ns, fields: o.FieldSelector, ch: make(chan client.Event, 2000), ctx: ctx}
	for p, obj := range m.objs {
		if w.matches(p, obj) {
			w.ch <- client.Event{Type: client.Added, Object: obj}
		}
	}
	mark := k.Hub().New()
	mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	w.ch <- client.Event{Type: client.Bookmark, Object: mark}
	m.watchers[w] = true
	return w, nil
}

// put stores and tells; m.mu is held.
func (m *memConn) put(k *api.Kind, o api.Object, event string) {
	m.rev++
	o.SetResourceVersion(strconv.Itoa(m.rev))
	p := path(k, o.GetNamespace(), o.GetName())
	m.writes[k.Resource]++
	if event == client.Deleted {
		delete(m.objs, p)
	} else {
		m.objs[p] = o
	}
	for w := range m.watchers {
		if w.matches(p, o) {
			w.ch <- client.Event{Type: event, Object: o}
		}
	}
}

func (m *memConn) Create(_ context.Context, k *api.Kind, obj api.Object, _ metav1.CreateOptions) (api.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objs[path(k, obj.GetNamespace(), obj.GetName())] != nil {
		return nil, apierrors.NewAlreadyExists(k.GroupResource(), obj.GetName())
	}
	o := obj.DeepCopyObject().(api.Object)
	if o.GetUID() == "" {
		o.SetUID(types.UID("uid-" + strconv.Itoa(m.rev)))
	}
	o.SetGeneration(1)
	m.put(k, o, client.Added)
	return o, nil
}

func (m *memConn) Update(_ context.Context, k *api.Kind, obj api.Object, sub string, _ metav1.UpdateOptions) (api.Object, error) {
	if m.down.Load() {
		return nil, apierrors.NewServiceUnavailable("the API is away")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.objs[path(k, obj.GetNamespace(), obj.GetName())]
	if old == nil {
		return nil, apierrors.NewNotFound(k.GroupResource(), obj.GetName())
	}
	if rv := obj.GetResourceVersion(); rv != "" && rv != old.GetResourceVersion() {
		return nil, apierrors.NewConflict(k.GroupResource(), obj.GetName(), nil)
	}
	o := obj.DeepCopyObject().(api.Object)
	if p, ok := o.(*corev1.Pod); ok && sub == "status" {
		n := old.(*corev1.Pod).DeepCopy()
		n.Status = p.Status
		o = n
	}
	m.put(k, o, client.Modified)
	return o, nil
}

func (m *memConn) Patch(_ context.Context, k *api.Kind, ns, name, _ string, _ types.PatchType, data []byte, _ metav1.PatchOptions) (api.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.objs[path(k, ns, name)]
	if old == nil {
		return nil, apierrors.NewNotFound(k.GroupResource(), name)
	}
	before, _ := json.Marshal(old)
	after, err := strategicpatch.StrategicMergePatch(before, data, old)
	if err != nil {
		return nil, err
	}
	o := k.Hub().New()
	if err := json.Unmarshal(after, o); err != nil {
		return nil, err
	}
	m.put(k, o, client.Modified)
	return o, nil
}

func (m *memConn) Delete(_ context.Context, k *api.Kind, ns, name string, o metav1.DeleteOptions) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.objs[path(k, ns, name)]
	if old == nil {
		return apierrors.NewNotFound(k.GroupResource(), name)
	}
	obj := old.DeepCopyObject().(api.Object)
	if o.GracePeriodSeconds != nil && *o.GracePeriodSeconds > 0 {
		now := metav1.Now()
		obj.SetDeletionTimestamp(&now)
		obj.SetDeletionGracePeriodSeconds(o.GracePeriodSeconds)
		m.put(k, obj, client.Modified)
		return nil
	}
	m.put(k, obj, client.Deleted)
	return nil
}

func (m *memConn) DeleteCollection(context.Context, *api.Kind, string, metav1.DeleteOptions, metav1.ListOptions) error {
	return nil
}

func (m *memConn) Post(_ context.Context, _ *api.Kind, _, _, sub string, body runtime.Object) (runtime.Object, error) {
	if r, ok := body.(*authenticationv1.TokenRequest); ok {
		r = r.DeepCopy()
		r.Status.Token = "token-for-" + strings.Join(r.Spec.Audiences, ",")
		return r, nil
	}
	return body, nil
}

var _ client.Conn = (*memConn)(nil)
