package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (s *Server) serveDelete(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q, "PartialObjectMetadata")
	if err != nil {
		return err
	}
	d, err := deleteOptions(w, r, q, c)
	if err != nil {
		return err
	}
	e, gone, err := s.delete(c, d)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	if gone && !returnsDeleted(c.kind) {
		s.object(w, r, o, http.StatusOK, statusKind, deletedStatus(c, e.Obj))
		return nil
	}
	status := http.StatusOK
	if !gone && d.OrphanDependents != nil && !*d.OrphanDependents {
		status = http.StatusAccepted
	}
	return s.entry(w, r, o, status, c, e)
}

// deleteOptions come in the body, else in the query.
func deleteOptions(w http.ResponseWriter, r *http.Request, q url.Values, c *call) (*metav1.DeleteOptions, error) {
	data, err := readBody(r, w)
	if err != nil {
		return nil, err
	}
	d := &metav1.DeleteOptions{}
	if len(data) > 0 {
		f, err := inputFormat(r)
		if err != nil {
			return nil, err
		}
		// The body may be DeleteOptions of any group's version.
		want := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
		if f == codec.Protobuf {
			if want, _, err = codec.OpenProto(data); err != nil {
				return nil, apierrors.NewBadRequest(err.Error())
			}
		}
		if _, _, err := codec.Decode(f, data, want, d); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	} else if err := queryDelete(q, d); err != nil {
		return nil, err
	}
	if d.OrphanDependents != nil && d.PropagationPolicy != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "DeleteOptions"}, "", nil)
	}
	return d, c.setDryRun(append(d.DryRun, q["dryRun"]...))
}

// returnsDeleted lists the kinds whose deletion answers with the object instead of a Status, as upstream.
func returnsDeleted(k *api.Kind) bool {
	if k.Hub().Group != "" {
		return false
	}
	switch k.Resource {
	case "pods", "services", "serviceaccounts", "podtemplates", "resourcequotas", "persistentvolumes", "persistentvolumeclaims":
		return true
	}
	return false
}

func deletedStatus(c *call, obj api.Object) *metav1.Status {
	return &metav1.Status{Status: metav1.StatusSuccess, Details: &metav1.StatusDetails{
		Name: obj.GetName(), Group: c.resource().Group, Kind: c.resource().Resource, UID: obj.GetUID(),
	}}
}

// delete begins or does the deletion of one object. gone: it no longer exists; else it waits for finalizers or its grace period.
func (s *Server) delete(c *call, d *metav1.DeleteOptions) (e *cache.Entry, gone bool, err error) {
	for try := 1; ; try++ {
		e, gone, err = s.deleteOnce(c, d)
		var stale *staleError
		if !errors.As(err, &stale) {
			return e, gone, err
		}
		if try == updateTries {
			return nil, false, stale.error
		}
		if err := s.cache.WaitCurrent(c.ctx); err != nil {
			return nil, false, err
		}
	}
}

func (s *Server) deleteOnce(c *call, d *metav1.DeleteOptions) (*cache.Entry, bool, error) {
	old, ok := s.cache.Entry(c.kind, c.namespace, c.name)
	if !ok {
		return nil, false, apierrors.NewNotFound(c.resource(), c.name)
	}
	if err := preconditions(c, d, old); err != nil {
		return nil, false, err
	}
	if err := s.admitDelete(c, old, d); err != nil {
		return nil, false, err
	}
	p := planDelete(c.kind, old.Obj, d, s.now())
	switch p.action {
	case deleteNothing:
		return old, false, nil
	case deleteMark:
		e, err := s.mark(c, old, p.obj)
		return e, false, err
	}
	e, err := s.remove(c, old)
	return e, true, err
}

func preconditions(c *call, d *metav1.DeleteOptions, old *cache.Entry) error {
	p := d.Preconditions
	if p == nil {
		return nil
	}
	if uid := old.Obj.GetUID(); p.UID != nil && *p.UID != uid {
		return apierrors.NewConflict(c.resource(), c.name, fmt.Errorf(
			"the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, uid))
	}
	if rv := old.Obj.GetResourceVersion(); p.ResourceVersion != nil && *p.ResourceVersion != rv {
		return apierrors.NewConflict(c.resource(), c.name, fmt.Errorf(
			"the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *p.ResourceVersion, rv))
	}
	return nil
}

func (s *Server) admitDelete(c *call, old *cache.Entry, d *metav1.DeleteOptions) error {
	w := s.newWrite(c, request.Delete, nil, old)
	if c.kind.Custom != nil {
		// A converter that fails must not keep an object from being deleted: then it is shown as it was stored.
		if obj, err := old.In(c.ver()); err == nil {
			w.Old = obj
		}
	}
	w.Options.Delete = d
	return s.admit(w)
}

// mark stores an object that is being deleted but not gone.
func (s *Server) mark(c *call, old *cache.Entry, obj api.Object) (*cache.Entry, error) {
	w := s.newWrite(c, request.Update, obj, old)
	for _, st := range []stage{{"encode", (*Server).encode}, {"commit", (*Server).commitUpdate}, {"publish", (*Server).publish}} {
		if err := st.do(s, w); err == errDone {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return w.result, nil
}

// remove deletes an object for good.
func (s *Server) remove(c *call, old *cache.Entry) (*cache.Entry, error) {
	if c.dryRun {
		return old, nil
	}
	e, err := s.Store.Delete(c.ctx, c.key(c.name), old.Revision)
	if err != nil {
		if fault.Is(err, fault.Conflict) {
			return nil, &staleError{storeError(err, c.resource(), c.name)}
		}
		return nil, storeError(err, c.resource(), c.name)
	}
	if err := s.cache.Wait(c.ctx, e.Revision); err != nil {
		return nil, err
	}
	return old.At(e.Revision), nil
}

func (s *Server) serveDeleteCollection(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q)
	if err != nil {
		return err
	}
	lo, err := listOptions(q)
	if err != nil {
		return err
	}
	d, err := deleteOptions(w, r, q, c)
	if err != nil {
		return err
	}
	if err := s.deleteCollection(c, d, lo); err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	s.object(w, r, o, http.StatusOK, statusKind, &metav1.Status{Status: metav1.StatusSuccess})
	return nil
}

// collectionWorkers is how many objects of a collection are deleted at once: the store commits them together.
const collectionWorkers = 16

// deleteCollection deletes every object that the options select; one that vanishes meanwhile is no error.
func (s *Server) deleteCollection(c *call, d *metav1.DeleteOptions, o metav1.ListOptions) error {
	l, err := s.list(c, o)
	if err != nil {
		return err
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
		next  atomic.Int64
	)
	for range min(collectionWorkers, len(l.entries)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(l.entries)); i = next.Add(1) - 1 {
				one := *c
				obj := l.entries[i].Obj
				l.entries[i] = nil // of many, those that are gone need not live until the last one is
				one.namespace, one.name, one.warnings, one.collection = obj.GetNamespace(), obj.GetName(), nil, true
				_, _, err := s.delete(&one, d.DeepCopy())
				mu.Lock()
				c.warn(one.warnings...)
				if err != nil && !apierrors.IsNotFound(err) && first == nil {
					first = err
				}
				stop := first != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
