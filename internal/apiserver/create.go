package apiserver

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

func (s *Server) serveCreate(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	if c.sub != nil {
		return s.servePost(w, r, q, c)
	}
	forms := []string{"Table", "PartialObjectMetadata"}
	if c.kind.Virtual {
		forms = nil // what is not stored has no other forms
	}
	o, err := c.negotiate(r, q, forms...)
	if err != nil {
		return err
	}
	if err := c.writeOptions(q, r.UserAgent()); err != nil {
		return err
	}
	obj, err := s.decodeBody(w, r, c)
	if err != nil {
		return err
	}
	if c.kind.Virtual {
		return s.serveVirtual(w, r, o, c, obj)
	}
	e, err := s.create(c, obj)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	return s.entry(w, r, o, http.StatusCreated, c, e)
}

// nameTries is how often a generated name that is taken is made anew, as upstream.
const nameTries = 8

// create stores obj, a hub object that the server may change.
func (s *Server) create(c *call, obj api.Object) (*cache.Entry, error) {
	if err := closed(c); err != nil {
		return nil, err
	}
	if c.name != "" && obj.GetName() == "" {
		obj.SetName(c.name)
	}
	if err := matchNamespace(c, obj); err != nil {
		return nil, err
	}
	generated := obj.GetName() == "" && obj.GetGenerateName() != ""
	for try := 1; ; try++ {
		attempt := obj
		if generated && try < nameTries {
			attempt = obj.DeepCopyObject().(api.Object)
		}
		e, err := s.run(s.newWrite(c, request.Create, attempt, nil))
		if !generated || !apierrors.IsAlreadyExists(err) {
			return e, err
		}
		if try == nameTries {
			return nil, apierrors.NewGenerateNameConflict(c.resource(), attempt.GetName(), 1)
		}
	}
}

// closed: the definition of a custom resource is being deleted.
func closed(c *call) error {
	if c.kind.Custom == nil {
		return nil
	}
	if why := c.kind.Custom.Closed(); why != "" {
		return apierrors.NewForbidden(c.resource(), c.name, errors.New(why))
	}
	return nil
}

func (s *Server) newWrite(c *call, op request.Operation, obj api.Object, old *cache.Entry) *writing {
	w := &writing{c: c, old: old, Write: request.Write{
		User: c.user, Operation: op, Kind: c.kind, Version: c.ver(), Subresource: c.subresource,
		Namespace: c.namespace, Name: c.name, Object: obj, DryRun: c.dryRun, Collection: c.collection, Options: c.asked,
	}}
	if old != nil {
		w.Old = old.Obj
	}
	if op == request.Create && obj != nil {
		w.Name = obj.GetName()
	}
	return w
}

// identify gives a new object what only the server may give.
func (s *Server) identify(w *writing) error {
	obj := w.Object
	if obj.GetName() == "" && obj.GetGenerateName() == "" {
		return apierrors.NewInvalid(w.c.groupKind(), "", nameRequired())
	}
	obj.SetUID(types.UID(newUID()))
	obj.SetCreationTimestamp(s.now())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetGeneration(0)
	if w.Kind.HasGeneration {
		obj.SetGeneration(1)
	}
	if obj.GetResourceVersion() != "" {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	return nil
}

// nameLetters is upstream's alphabet (apimachinery util/rand): no vowels, no letters that look alike.
const nameLetters = "bcdfghjklmnpqrstvwxz2456789"

// generateName appends five letters; the base is cut so that the whole has at most 63.
func generateName(base string) string {
	const n = 5
	if len(base) > 63-n {
		base = base[:63-n]
	}
	b := []byte(base)
	for range n {
		b = append(b, nameLetters[rand.IntN(len(nameLetters))])
	}
	return string(b)
}

func matchNamespace(c *call, obj api.Object) error {
	if !c.kind.Namespaced {
		obj.SetNamespace("")
		return nil
	}
	switch ns := obj.GetNamespace(); ns {
	case "":
		obj.SetNamespace(c.namespace)
	case c.namespace:
	default:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}
