package apiserver

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// A write passes these stages in this order. Before them, in http.go, it was
// authenticated, authorized and decoded; after them it is answered. In-process
// writes (conn.go) pass the same stages.
//
// Webhooks and policies are Steps of Config.Admission (mutate, check); custom
// resources are Kinds of the registry; aggregated groups never get here, they
// are proxied in http.go.
func stages(op request.Operation) []stage {
	if op == request.Create {
		return []stage{
			{"default", (*Server).defaults},
			{"identify", (*Server).identify}, // namespace, uid, creationTimestamp, name
			{"own", (*Server).own},           // managedFields
			{"mutate", (*Server).mutate},
			{"prepare", (*Server).prepareCreate},
			{"settle", (*Server).settle}, // times as they are encoded
			{"validate", (*Server).validateCreate},
			{"check", (*Server).check},
			{"encode", (*Server).encode},
			{"commit", (*Server).commitCreate},
			{"publish", (*Server).publish},
		}
	}
	return []stage{
		{"default", (*Server).defaults},
		{"own", (*Server).own},
		{"mutate", (*Server).mutate},
		{"prepare", (*Server).prepareUpdate},
		{"settle", (*Server).settle},
		{"validate", (*Server).validateUpdate},
		{"check", (*Server).check},
		{"skip", (*Server).skip}, // nothing changed: nothing is written
		{"encode", (*Server).encode},
		{"commit", (*Server).commitUpdate},
		{"publish", (*Server).publish},
	}
}

type stage struct {
	name string
	do   func(*Server, *writing) error
}

// writing is one write on its way.
type writing struct {
	request.Write
	c        *call
	old      *cache.Entry // nil for a creation
	applied  bool         // managedFields are settled (server-side apply)
	value    []byte
	pending  *cache.Pending
	revision int64
	result   *cache.Entry // set by the stage that ends the write
}

// errDone ends a write early with w.result.
var errDone = errors.New("done")

// run passes w through its stages; when one fails, what earlier ones allocated is given back.
func (s *Server) run(w *writing) (*cache.Entry, error) {
	for _, st := range stages(w.Operation) {
		err := st.do(s, w)
		if err == nil {
			continue
		}
		if err == errDone {
			break
		}
		rollback(w)
		w.c.warn(w.Warnings...)
		return nil, err
	}
	w.c.warn(w.Warnings...)
	if w.DryRun {
		rollback(w)
	}
	return w.result, nil
}

func rollback(w *writing) {
	for i := len(w.Rollback) - 1; i >= 0; i-- {
		w.Rollback[i]()
	}
	w.Rollback = nil
}

func (s *Server) defaults(w *writing) error {
	onceEach(w, duplicateOwners)
	if w.Kind.Default != nil {
		w.Kind.Default(w.Object)
	}
	return nil
}

// own notes which fields the caller's manager set.
func (s *Server) own(w *writing) error {
	if w.applied {
		return nil
	}
	return s.fields.Update(w.Kind, w.c.version, w.Subresource, w.Old, w.Object, w.c.manager)
}

// onceEach drops repeated owners and tells the client, as upstream does before and after admission.
func onceEach(w *writing, format string) {
	refs := w.Object.GetOwnerReferences()
	if len(refs) < 2 {
		return
	}
	seen, twice := map[types.UID]bool{}, []string(nil)
	out := refs[:0:0]
	for _, r := range refs {
		if seen[r.UID] {
			twice = append(twice, string(r.UID))
			continue
		}
		seen[r.UID] = true
		out = append(out, r)
	}
	if len(twice) > 0 {
		w.Object.SetOwnerReferences(out)
		w.Warnings = append(w.Warnings, fmt.Sprintf(format, strings.Join(twice, ", ")))
	}
}

const duplicateOwners = ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, " +
	"and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %v"

const duplicateOwnersAfter = ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups " +
	"owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %v"

// mutate runs the mutating steps, a second time when one of them asks for it, then those that finish.
func (s *Server) mutate(w *writing) error {
	if w.c.inner {
		return nil
	}
	for w.Pass = 1; w.Pass == 1 || w.Pass == 2 && w.Again; w.Pass++ {
		for _, st := range s.Admission {
			if st.Mutate == nil {
				continue
			}
			if err := st.Mutate(w.c.ctx, &w.Write); err != nil {
				return admissionError(st.Name, err)
			}
		}
	}
	if w.Object != nil {
		onceEach(w, duplicateOwnersAfter)
	}
	for _, st := range s.Admission {
		if st.Finish == nil {
			continue
		}
		if err := st.Finish(w.c.ctx, &w.Write); err != nil {
			return admissionError(st.Name, err)
		}
	}
	return nil
}

// admit is the admission of what is no write of an object: a deletion, a connection, a body.
func (s *Server) admit(w *writing) error {
	err := s.mutate(w)
	if err == nil {
		err = s.check(w)
	}
	w.c.warn(w.Warnings...)
	if err != nil || w.DryRun {
		rollback(w)
	}
	return err
}

func (s *Server) check(w *writing) error {
	if w.c.inner {
		return nil
	}
	for _, st := range s.Admission {
		if st.Check == nil {
			continue
		}
		if err := st.Check(w.c.ctx, &w.Write); err != nil {
			return admissionError(st.Name, err)
		}
	}
	return nil
}

func admissionError(step string, err error) error {
	var api apierrors.APIStatus
	if errors.As(err, &api) {
		return err
	}
	return apierrors.NewInternalError(fmt.Errorf("admission %s: %w", step, err))
}

func (s *Server) encode(w *writing) error {
	if w.Kind.Custom != nil {
		obj, err := w.Kind.Hub().FromHub(w.Object)
		if err != nil {
			return err
		}
		w.Object = obj
	}
	w.Object.SetResourceVersion("")
	value, err := codec.Stored(w.Kind, w.Object)
	if err == nil && s.Transform.Encode != nil {
		value, err = s.Transform.Encode(w.c.key(w.Name), value)
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("encode %s %q: %w", w.Kind.Kind, w.Name, err))
	}
	if len(value) > maxStored {
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%s %q is %d bytes, the limit is %d", w.Kind.Kind, w.Name, len(value), maxStored))
	}
	w.value = value
	return nil
}

// maxStored bounds one value, as etcd's request limit does upstream.
const maxStored = 1536 << 10

func (s *Server) commitCreate(w *writing) error {
	key := w.c.key(w.Name)
	if w.DryRun {
		if _, exists := s.cache.Entry(w.Kind, w.Namespace, w.Name); exists {
			return apierrors.NewAlreadyExists(w.c.resource(), w.Name)
		}
		w.result = cache.NewEntry(w.Kind, cache.ObjectKey(w.Namespace, w.Name), w.Object, 0)
		w.Object.SetResourceVersion("")
		return errDone
	}
	w.pending = s.cache.Expect(w.value, w.Object)
	e, err := s.Store.Create(w.c.ctx, key, w.value)
	if err != nil {
		s.cache.Forget(w.value)
		return storeError(err, w.c.resource(), w.Name)
	}
	w.revision = e.Revision
	return nil
}

// skip ends an update that would store the same bytes again.
func (s *Server) skip(w *writing) error {
	if !unchanged(w) || completesDeletion(w.Object, w.Old) {
		return nil
	}
	w.result = w.old
	return errDone
}

func (s *Server) commitUpdate(w *writing) error {
	if w.DryRun {
		w.result = cache.NewEntry(w.Kind, w.old.Key, w.Object, w.old.Revision)
		return errDone
	}
	if completesDeletion(w.Object, w.Old) {
		e, err := s.remove(w.c, w.old)
		if err != nil {
			return err
		}
		w.result = cache.NewEntry(w.Kind, e.Key, w.Object, e.Revision)
		return errDone
	}
	w.pending = s.cache.Expect(w.value, w.Object)
	e, err := s.Store.Update(w.c.ctx, w.c.key(w.Name), w.value, w.old.Revision)
	if err != nil {
		s.cache.Forget(w.value)
		if fault.Is(err, fault.Conflict) {
			return &staleError{storeError(err, w.c.resource(), w.Name)}
		}
		return storeError(err, w.c.resource(), w.Name)
	}
	w.revision = e.Revision
	return nil
}

// staleError is a conflict with what this server read, not with what the client asked for: it may be tried again.
type staleError struct{ error }

func (e *staleError) Unwrap() error { return e.error }

// publish waits until every reader of this server sees the write.
func (s *Server) publish(w *writing) error {
	e, err := s.cache.Committed(w.c.ctx, w.Kind, cache.ObjectKey(w.Namespace, w.Name), w.pending, w.revision)
	w.result = e
	return err
}
