package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// updateTries bounds how often a write that raced with another is made again. Each failure means that
// somebody else's write went through.
const updateTries = 100

// change makes the new object from the current one (nil when there is none); the result is the server's to change.
// applied says that its managedFields are settled.
type change func(old api.Object) (obj api.Object, applied bool, err error)

func (s *Server) serveUpdate(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q, "Table", "PartialObjectMetadata")
	if err != nil {
		return err
	}
	if err := c.writeOptions(q, r.UserAgent()); err != nil {
		return err
	}
	if c.sub != nil && c.sub.Scale != nil {
		return s.serveScaleUpdate(w, r, o, c)
	}
	obj, err := s.decodeBody(w, r, c)
	if err != nil {
		return err
	}
	e, created, err := s.update(c, obj)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	return s.entry(w, r, o, code(created), c, e)
}

func code(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// update replaces an object.
func (s *Server) update(c *call, obj api.Object) (*cache.Entry, bool, error) {
	switch {
	case obj.GetName() == "":
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", c.name))
	case obj.GetName() != c.name:
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), c.name))
	}
	if err := matchNamespace(c, obj); err != nil {
		return nil, false, err
	}
	return s.modify(c, c.kind.CreateOnUpdate && c.sub == nil, func(api.Object) (api.Object, bool, error) {
		return obj.DeepCopyObject().(api.Object), false, nil
	})
}

// modify runs a change of one object, again when another write came between and the client did not name a resourceVersion.
func (s *Server) modify(c *call, mayCreate bool, f change) (*cache.Entry, bool, error) {
	for try := 1; ; try++ {
		e, created, err := s.modifyOnce(c, mayCreate, f)
		var stale *staleError
		if !errors.As(err, &stale) {
			if created && apierrors.IsAlreadyExists(err) && try < updateTries {
				continue
			}
			return e, created, err
		}
		if try == updateTries {
			return nil, false, stale.error
		}
		if err := s.cache.WaitCurrent(c.ctx); err != nil {
			return nil, false, err
		}
	}
}

func (s *Server) modifyOnce(c *call, mayCreate bool, f change) (*cache.Entry, bool, error) {
	old, ok := s.cache.Entry(c.kind, c.namespace, c.name)
	if !ok {
		if !mayCreate {
			return nil, false, apierrors.NewNotFound(c.resource(), c.name)
		}
		e, err := s.createInstead(c, f)
		return e, true, err
	}
	was := old.Obj
	if c.kind.Custom != nil {
		var err error
		if was, err = old.In(c.ver()); err != nil {
			return nil, false, err
		}
	}
	obj, applied, err := f(was)
	if err != nil {
		return nil, false, err
	}
	if err := checkCurrent(c, obj, old); err != nil {
		return nil, false, err
	}
	w := s.newWrite(c, request.Update, obj, old)
	w.Old, w.applied = was, applied
	e, err := s.run(w)
	return e, false, err
}

// createInstead makes an object that an update or apply did not find.
func (s *Server) createInstead(c *call, f change) (*cache.Entry, error) {
	if !c.trusted {
		if err := s.authorize(c.ctx, c.attributes("create")); err != nil {
			return nil, err
		}
	}
	if err := closed(c); err != nil {
		return nil, err
	}
	obj, applied, err := f(nil)
	if err != nil {
		return nil, err
	}
	if obj.GetUID() != "" {
		return nil, uidConflict(c, obj, "")
	}
	obj.SetResourceVersion("")
	w := s.newWrite(c, request.Create, obj, nil)
	w.applied = applied
	return s.run(w)
}

// checkCurrent compares what the client knows about the object with what it is.
func checkCurrent(c *call, obj api.Object, old *cache.Entry) error {
	if uid := obj.GetUID(); uid != "" && uid != old.Obj.GetUID() {
		return uidConflict(c, obj, string(old.Obj.GetUID()))
	}
	rv := obj.GetResourceVersion()
	if rv == "" || rv == "0" {
		return nil
	}
	if _, err := parseRevision(rv); err != nil {
		return apierrors.NewInvalid(schema.GroupKind{Group: c.resource().Group, Kind: c.kind.Kind}, c.name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", "resourceVersion"), rv, err.Error())})
	}
	if rv != old.Obj.GetResourceVersion() {
		return apierrors.NewConflict(c.resource(), c.name, errors.New(optimisticLock))
	}
	return nil
}

func uidConflict(c *call, obj api.Object, have string) error {
	//lint:ignore ST1005 these are upstream's words
	return apierrors.NewConflict(c.resource(), c.name, fmt.Errorf(
		"Precondition failed: UID in precondition: %v, UID in object meta: %v", obj.GetUID(), have))
}

// unchanged reports that an update would store the same bytes again, but for the times in managedFields: an apply of
// what was applied before is no change (upstream's IgnoreManagedFieldsTimestampsTransformer).
func unchanged(w *writing) bool {
	if w.Kind.Custom != nil && w.old.Obj.GetObjectKind().GroupVersionKind() != w.Kind.GroupVersionKind() {
		return false // it was stored in another version: any write brings it to the current one
	}
	old, obj := codec.Shallow(w.Old), codec.Shallow(w.Object)
	old.SetResourceVersion("")
	obj.SetResourceVersion("")
	if sameOwners(old.GetManagedFields(), obj.GetManagedFields()) {
		obj.SetManagedFields(old.GetManagedFields())
	}
	b, err := codec.Stored(w.Kind, old)
	if err != nil {
		return false
	}
	n, err := codec.Stored(w.Kind, obj)
	return err == nil && bytes.Equal(b, n)
}

// sameOwners compares all but the times, in order.
func sameOwners(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(x, y metav1.ManagedFieldsEntry) bool {
		x.Time, y.Time = nil, nil
		return reflect.DeepEqual(x, y)
	})
}
