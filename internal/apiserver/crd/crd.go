// Package crd serves custom resources: it turns each CustomResourceDefinition
// into a kind of the registry, and gives and takes the definition's names,
// conditions and finalizer.
//
// A custom resource passes the same verbs and stages as any object; what its definition says about it is in definition.go
// (the kind), object.go, validate.go, columns.go, scale.go and convert.go. names.go decides, this file does it.
package crd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
	"github.com/dhow-project/dhow/internal/client"
)

// conversionTimeout is how long a conversion webhook may take.
const conversionTimeout = 30 * time.Second

// Server serves kinds that come and go.
type Server interface {
	Put(ctx context.Context, k *api.Kind) error
	Remove(k *api.Kind) error
	Reader() request.Reader
}

// Manager sees to it that what definitions say is served. Use New before the server starts, Start after it has, then Run.
type Manager struct {
	server Server
	reader request.Reader
	kind   *api.Kind // CustomResourceDefinition
	conn   client.Conn
	crds   client.Client[*apiextensionsv1.CustomResourceDefinition]
	caller *webhook.Caller
	log    *slog.Logger
	queue  *client.Queue[string]

	mu     sync.Mutex
	served map[string]*served // by the definition's name
}

// served is one definition's kind.
type served struct {
	uid      types.UID
	root     *api.Kind
	revision string
}

// New makes a manager; conn is one that may do everything.
func New(s Server, conn client.Conn, caller *webhook.Caller, log *slog.Logger) *Manager {
	m := &Manager{
		server: s, reader: s.Reader(), conn: conn, caller: caller, log: log, queue: client.NewQueue[string](), served: map[string]*served{},
		crds: client.For[*apiextensionsv1.CustomResourceDefinition](conn),
	}
	m.kind = m.reader.Registry().Resource(schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"})
	m.reader.OnChange(m.kind, func(old, o api.Object) {
		if o == nil {
			o = old
		}
		m.queue.Add(o.GetName())
	})
	return m
}

// Start serves what was established when the server last ran.
func (m *Manager) Start(ctx context.Context) error {
	for _, o := range m.all() {
		if !apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
			continue
		}
		if err := m.serve(ctx, o); err != nil {
			m.log.Error("serve custom resources", "crd", o.Name, "err", err)
		}
	}
	return nil
}

// Run follows the definitions until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	defer m.queue.Close()
	for {
		name, ok := m.queue.Get(ctx)
		if !ok {
			return nil
		}
		switch err := m.sync(ctx, name); {
		case err == nil:
			m.queue.Forget(name)
		case ctx.Err() != nil:
		case apierrors.IsConflict(err):
			m.queue.Retry(name)
		default:
			m.log.Warn("sync custom resource definition", "crd", name, "err", err)
			m.queue.Retry(name)
		}
		m.queue.Done(name)
	}
}

func (m *Manager) all() (out []*apiextensionsv1.CustomResourceDefinition) {
	m.reader.Each(m.kind, "", func(o api.Object) bool {
		out = append(out, o.(*apiextensionsv1.CustomResourceDefinition))
		return true
	})
	return out
}

// group gives the other definitions of a definition's group.
func (m *Manager) group(name string) (out []*apiextensionsv1.CustomResourceDefinition) {
	_, group, _ := strings.Cut(name, ".")
	for _, o := range m.all() {
		if o.Spec.Group == group && o.Name != name {
			out = append(out, o)
		}
	}
	return out
}

func (m *Manager) sync(ctx context.Context, name string) error {
	found, ok := m.reader.Get(m.kind, "", name)
	if !ok {
		m.again(name)
		return m.stop(name)
	}
	was := found.(*apiextensionsv1.CustomResourceDefinition)
	o := was.DeepCopy()
	acceptNames(o, takenBy(m.group(name)))
	approve(o)
	if apihelpers.IsCRDConditionTrue(o, apiextensionsv1.NamesAccepted) || apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
		if err := m.serve(ctx, o); err != nil {
			return err
		}
		if !apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
			establish(o)
		}
	}
	if !equality.Semantic.DeepEqual(was.Status, o.Status) {
		next, err := m.crds.UpdateStatus(ctx, o)
		if err != nil {
			return ignoreGone(err)
		}
		if !equality.Semantic.DeepEqual(was.Status.AcceptedNames, next.Status.AcceptedNames) {
			m.again(name)
		}
		o = next
	}
	if o.DeletionTimestamp != nil && apihelpers.CRDHasFinalizer(o, apiextensionsv1.CustomResourceCleanupFinalizer) {
		return m.empty(ctx, o.DeepCopy())
	}
	return nil
}

// again has the others of a group look whether a name has become free.
func (m *Manager) again(name string) {
	for _, o := range m.group(name) {
		if !apihelpers.IsCRDConditionTrue(o, apiextensionsv1.NamesAccepted) {
			m.queue.Add(o.Name)
		}
	}
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// revision names what of a definition makes a difference to how it is served.
func revision(o *apiextensionsv1.CustomResourceDefinition) (string, error) {
	b, err := json.Marshal([]any{o.UID, o.Spec, o.Status.AcceptedNames})
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16]), nil
}

// serve makes o's kind served as o now says.
func (m *Manager) serve(ctx context.Context, o *apiextensionsv1.CustomResourceDefinition) error {
	rev, err := revision(o)
	if err != nil {
		return err
	}
	m.mu.Lock()
	have := m.served[o.Name]
	m.mu.Unlock()
	if have != nil && have.uid != o.UID {
		if err := m.stop(o.Name); err != nil {
			return err
		}
		have = nil
	}
	if have != nil && have.revision == rev {
		return nil
	}
	d, err := newDefinition(o.DeepCopy())
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	d.call = func(ctx context.Context, t webhook.Target, in, out any) error {
		return m.caller.Call(ctx, t, conversionTimeout, in, out)
	}
	var root *api.Kind
	if have != nil {
		root = have.root
	}
	k, err := d.make(root, rev, func() string { return m.closed(o.Name) })
	if err != nil {
		return err
	}
	if err := m.server.Put(ctx, k); err != nil {
		return err
	}
	m.mu.Lock()
	m.served[o.Name] = &served{o.UID, k.Root(), rev}
	m.mu.Unlock()
	return nil
}

// closed says why no more objects can be created.
func (m *Manager) closed(name string) string {
	if o, ok := m.reader.Get(m.kind, "", name); ok && apihelpers.IsCRDConditionTrue(o.(*apiextensionsv1.CustomResourceDefinition), apiextensionsv1.Terminating) {
		return "create not allowed while custom resource definition is terminating"
	}
	return ""
}

// stop ends what a definition that is gone made.
func (m *Manager) stop(name string) error {
	m.mu.Lock()
	have := m.served[name]
	delete(m.served, name)
	m.mu.Unlock()
	if have == nil {
		return nil
	}
	return m.server.Remove(have.root)
}

// Objects that wait for something (a finalizer) are looked at again after a time that grows from the first to the last of these.
const (
	againFirst = 100 * time.Millisecond
	againLast  = 15 * time.Second
)

// empty deletes all objects of a definition that is being deleted, and lets it go when there are none.
func (m *Manager) empty(ctx context.Context, o *apiextensionsv1.CustomResourceDefinition) error {
	if !apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
		terminating(o, apiextensionsv1.ConditionFalse, "NeverEstablished", "resource was never established")
		return m.release(ctx, o)
	}
	k := m.reader.Registry().Resource(schema.GroupResource{Group: o.Spec.Group, Resource: o.Status.AcceptedNames.Plural})
	if k == nil || k.Custom == nil {
		return fmt.Errorf("its objects are not served")
	}
	left, err := m.deleteAll(ctx, k)
	switch {
	case err != nil:
		terminating(o, apiextensionsv1.ConditionTrue, "InstanceDeletionFailed", fmt.Sprintf("could not issue all deletes: %v", err))
	case left > 0:
		terminating(o, apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
		m.queue.AddAfter(o.Name, min(againLast, max(againFirst, time.Since(o.DeletionTimestamp.Time)/2)))
	default:
		terminating(o, apiextensionsv1.ConditionFalse, "InstanceDeletionCompleted", "removed all instances")
		return m.release(ctx, o)
	}
	was, ok := m.reader.Get(m.kind, "", o.Name)
	if ok && !equality.Semantic.DeepEqual(was.(*apiextensionsv1.CustomResourceDefinition).Status, o.Status) {
		if _, werr := m.crds.UpdateStatus(ctx, o); werr != nil && err == nil {
			err = ignoreGone(werr)
		}
	}
	return err
}

// deleteAll deletes every object of a kind and says how many are still there.
func (m *Manager) deleteAll(ctx context.Context, k *api.Kind) (left int, err error) {
	namespaces := map[string]bool{}
	m.reader.Each(k, "", func(o api.Object) bool {
		namespaces[o.GetNamespace()] = true
		return true
	})
	for ns := range namespaces {
		if err := m.conn.DeleteCollection(ctx, k, ns, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return 0, err
		}
	}
	m.reader.Each(k, "", func(api.Object) bool { left++; return true })
	return left, nil
}

// release takes the finalizer off; if it is the last one, the definition goes.
func (m *Manager) release(ctx context.Context, o *apiextensionsv1.CustomResourceDefinition) error {
	next, err := m.crds.UpdateStatus(ctx, o)
	if err != nil {
		return ignoreGone(err)
	}
	next = next.DeepCopy()
	apihelpers.CRDRemoveFinalizer(next, apiextensionsv1.CustomResourceCleanupFinalizer)
	_, err = m.crds.Update(ctx, next)
	return ignoreGone(err)
}
