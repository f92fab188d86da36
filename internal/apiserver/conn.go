package apiserver

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
)

// Conn is the API for parts in this process: the same authorization, admission
// and validation as over HTTP, without sockets and encoding. Objects are shared.
func (s *Server) Conn(u *request.User) client.Conn { return s.ConnAs(u, managerOf(u.Name)) }

// ConnAs is Conn for a part whose field manager has a name of its own.
func (s *Server) ConnAs(u *request.User, manager string) client.Conn {
	return &conn{s: s, user: u, manager: manager, trusted: slices.Contains(u.Groups, "system:masters")}
}

type conn struct {
	s       *Server
	user    *request.User
	manager string // of fields, when the caller names none
	trusted bool
}

func (n *conn) Registry() *api.Registry { return n.s.Registry }

// call makes the call and authorizes it.
func (n *conn) call(ctx context.Context, k *api.Kind, verb, namespace, name, sub string) (*call, error) {
	if k = n.s.Registry.Current(k); k == nil {
		return nil, notFoundPath()
	}
	c := &call{
		ctx: ctx, user: n.user, verb: verb, kind: k, subresource: sub, namespace: namespace, name: name,
		trusted: n.trusted, fieldValidation: metav1.FieldValidationIgnore, manager: n.manager,
	}
	if sub != "" {
		if c.sub = subresource(k, c.version, sub); c.sub == nil {
			return nil, notFoundPath()
		}
	}
	if !n.trusted {
		if err := n.s.authorize(ctx, c.attributes(verb)); err != nil {
			return nil, err
		}
	}
	if !n.s.allowed(c) {
		return nil, methodNotAllowed()
	}
	return c, nil
}

func (n *conn) Get(ctx context.Context, k *api.Kind, namespace, name string, o metav1.GetOptions) (api.Object, error) {
	c, err := n.call(ctx, k, "get", namespace, name, "")
	if err != nil {
		return nil, err
	}
	e, err := n.s.get(c, o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	return e.In(c.ver())
}

func (n *conn) List(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.List, error) {
	c, err := n.call(ctx, k, "list", namespace, "", "")
	if err != nil {
		return client.List{}, err
	}
	l, err := n.s.list(c, o)
	if err != nil {
		return client.List{}, err
	}
	out := client.List{Items: make([]api.Object, len(l.entries)), ResourceVersion: l.meta.ResourceVersion, Continue: l.meta.Continue}
	for i, e := range l.entries {
		if out.Items[i], err = e.In(c.ver()); err != nil {
			return client.List{}, err
		}
	}
	return out, nil
}

func (n *conn) Watch(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.Watch, error) {
	c, err := n.call(ctx, k, "watch", namespace, "", "")
	if err != nil {
		return nil, err
	}
	w, err := n.s.watch(c, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, w.close)
	return &localWatch{w, c.kind, ctx, cancel, n.s.ended}, nil
}

type localWatch struct {
	w      *watching
	kind   *api.Kind
	ctx    context.Context
	cancel context.CancelFunc
	ended  <-chan struct{}
}

func (w *localWatch) Close() { w.cancel() }

func (w *localWatch) Next() ([]client.Event, error) {
	ds, err := w.w.next(w.ctx, w.ended)
	if err != nil {
		return nil, err
	}
	out := make([]client.Event, len(ds))
	for i, d := range ds {
		out[i].Type = d.typ
		if d.entry == nil {
			out[i].Object = bookmarkObject(w.kind.Hub(), d)
		} else {
			if out[i].Object, err = d.entry.In(w.kind.Hub()); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (n *conn) Create(ctx context.Context, k *api.Kind, obj api.Object, o metav1.CreateOptions) (api.Object, error) {
	c, err := n.call(ctx, k, "create", namespaceOf(k, obj), "", "")
	if err != nil {
		return nil, err
	}
	if err := c.options(o.FieldManager, o.DryRun); err != nil {
		return nil, err
	}
	obj = ownCopy(obj)
	if k.Virtual {
		out, err := n.s.virtual(c, obj)
		if err != nil {
			return nil, err
		}
		if answer, ok := out.(api.Object); ok {
			return answer, nil
		}
		return obj, nil // answered with a Status: success
	}
	e, err := n.s.create(c, obj)
	if err != nil {
		return nil, err
	}
	return e.In(c.ver())
}

func (n *conn) Update(ctx context.Context, k *api.Kind, obj api.Object, subresource string, o metav1.UpdateOptions) (api.Object, error) {
	c, err := n.call(ctx, k, "update", namespaceOf(k, obj), obj.GetName(), subresource)
	if err != nil {
		return nil, err
	}
	if err := c.options(o.FieldManager, o.DryRun); err != nil {
		return nil, err
	}
	e, _, err := n.s.update(c, ownCopy(obj))
	if err != nil {
		return nil, err
	}
	return e.In(c.ver())
}

func (n *conn) Patch(ctx context.Context, k *api.Kind, namespace, name, subresource string, t types.PatchType, data []byte, o metav1.PatchOptions) (api.Object, error) {
	c, err := n.call(ctx, k, "patch", namespace, name, subresource)
	if err != nil {
		return nil, err
	}
	c.applying = t == types.ApplyPatchType
	c.force = o.Force != nil && *o.Force
	c.forceSet = o.Force != nil
	if err := c.options(o.FieldManager, o.DryRun); err != nil {
		return nil, err
	}
	e, _, err := n.s.patch(c, t, data)
	if err != nil {
		return nil, err
	}
	return e.In(c.ver())
}

func (n *conn) Delete(ctx context.Context, k *api.Kind, namespace, name string, o metav1.DeleteOptions) error {
	c, err := n.call(ctx, k, "delete", namespace, name, "")
	if err != nil {
		return err
	}
	if err := c.options("", o.DryRun); err != nil {
		return err
	}
	_, _, err = n.s.delete(c, &o)
	return err
}

func (n *conn) DeleteCollection(ctx context.Context, k *api.Kind, namespace string, d metav1.DeleteOptions, o metav1.ListOptions) error {
	c, err := n.call(ctx, k, "deletecollection", namespace, "", "")
	if err != nil {
		return err
	}
	if err := c.options("", d.DryRun); err != nil {
		return err
	}
	return n.s.deleteCollection(c, &d, o)
}

func (n *conn) Post(ctx context.Context, k *api.Kind, namespace, name, subresource string, body runtime.Object) (runtime.Object, error) {
	if subresource == "" {
		return nil, apierrors.NewBadRequest("Post is for subresources")
	}
	c, err := n.call(ctx, k, "create", namespace, name, subresource)
	if err != nil {
		return nil, err
	}
	return n.s.post(c, body.DeepCopyObject())
}

// options takes over what the caller may choose.
func (c *call) options(manager string, dryRun []string) error {
	if manager != "" {
		c.manager, c.asked.FieldManager = manager, manager
	}
	return c.setDryRun(dryRun)
}

func namespaceOf(k *api.Kind, obj api.Object) string {
	if !k.Namespaced {
		return ""
	}
	return obj.GetNamespace()
}

// ownCopy is what the server may keep and change.
func ownCopy(obj api.Object) api.Object {
	c := obj.DeepCopyObject().(api.Object)
	if _, custom := c.(*unstructured.Unstructured); !custom {
		c.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return c
}
