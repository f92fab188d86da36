package webhook

import (
	"context"
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const mutatingStep = "MutatingAdmissionWebhook"

// rounds is what is kept from the first pass of the mutating steps to the second (KEP-492).
type rounds struct {
	last    runtime.Object  // after the webhooks of the first pass
	invoked map[string]bool // hooks that may be invoked again, since the last change
	again   map[string]bool // hooks that must be
}

// changed marks those that were invoked before the change.
func (r *rounds) changed() {
	for id := range r.invoked {
		r.again[id] = true
	}
	clear(r.invoked)
}

// mutate asks the webhooks that are for the write one after the other; each sees what those before it changed.
// When one changed the object, those before it that allow it are asked once more.
func (h *Hooks) mutate(ctx context.Context, w *request.Write) error {
	hooks := h.mutating.asked(w)
	if len(hooks) == 0 {
		return nil
	}
	r, second := w.Kept[mutatingStep].(*rounds)
	if !second {
		r = &rounds{invoked: map[string]bool{}, again: map[string]bool{}}
		w.Keep(mutatingStep, r)
	} else if !equality.Semantic.DeepEqual(r.last, objectOf(w)) {
		r.changed()
	}
	s := newSubject(w)
	for i, k := range hooks {
		as, ok, err := h.applies(ctx, k, s)
		if err != nil {
			return err
		}
		if !ok || second && !r.again[k.id] {
			continue
		}
		changed, err := h.change(ctx, k, s, as, index{w.Pass - 1, i})
		if err != nil {
			return err
		}
		if changed {
			r.changed()
			w.Again = true
		}
		if k.reinvoke {
			r.invoked[k.id] = true
		}
	}
	if !second && w.Again {
		if o := objectOf(w); o != nil {
			r.last = o.DeepCopyObject()
		}
	}
	return nil
}

// objectOf is what webhooks change.
func objectOf(w *request.Write) runtime.Object {
	if w.Body != nil {
		return w.Body
	}
	if w.Object != nil {
		return w.Object
	}
	return nil
}

// index names a call in audit annotations.
type index struct{ round, hook int }

func (i index) key(prefix string) string {
	return fmt.Sprintf("%s.webhook.admission.k8s.io/round_%d_index_%d", prefix, i.round, i.hook)
}

// change asks one webhook and does what it answers.
func (h *Hooks) change(ctx context.Context, k *hook, s *subject, as match.As, i index) (changed bool, err error) {
	defer func() { note(s.w, i.key("mutation"), mutationNote{k.configuration, k.name, changed}) }()
	v, err := s.in(as)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	a, err := h.call(ctx, k, s, as, v, true)
	if err == nil {
		if err = a.settle(k, s); err == nil {
			changed, err = patched(k, s, as, v, a, i)
		}
	}
	if err != nil {
		return false, h.failed(ctx, k, s, err, i.key("failed-open.mutation"))
	}
	return changed, nil
}

// patched changes the write's object as the answer says, and fills in defaults again.
func patched(k *hook, s *subject, as match.As, v versioned, a *answer, i index) (bool, error) {
	if len(a.patch) == 0 {
		return false, nil
	}
	patch, err := jsonpatch.DecodePatch(a.patch)
	switch {
	case err != nil:
		return false, &callError{k.name, fmt.Errorf("received undecodable patch in webhook response: %w", err)}
	case len(patch) == 0:
		return false, nil
	case v.object == nil:
		return false, apierrors.NewInternalError(fmt.Errorf("admission webhook %q attempted to modify the object, which is not supported for this operation", k.name))
	case a.patchType != admissionv1.PatchTypeJSONPatch:
		return false, &callError{k.name, fmt.Errorf("unsupported patch type %q", a.patchType)}
	}
	doc, err := patch.Apply(v.objectJSON)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	before := s.w.Object
	changed, err := s.put(as, v, doc)
	if err != nil {
		return false, err
	}
	note(s.w, i.key("patch"), patchNote{k.configuration, k.name, patch, string(a.patchType)})
	if before != nil {
		keepManagedFields(s.w, before.GetManagedFields())
	}
	return changed, nil
}

// keepManagedFields takes back what a webhook made of managedFields when nobody could read it.
func keepManagedFields(w *request.Write, before []metav1.ManagedFieldsEntry) {
	if err := managedfields.ValidateManagedFields(w.Object.GetManagedFields()); err != nil {
		w.Object.SetManagedFields(before)
		w.Warnings = append(w.Warnings, fmt.Sprintf(".metadata.managedFields was in an invalid state after admission; "+
			"this could be caused by an outdated mutating admission controller; please fix your requests: %v", err))
	}
}

// mutationNote and patchNote are values of audit annotations.
type mutationNote struct {
	Configuration string `json:"configuration"`
	Webhook       string `json:"webhook"`
	Mutated       bool   `json:"mutated"`
}

type patchNote struct {
	Configuration string          `json:"configuration"`
	Webhook       string          `json:"webhook"`
	Patch         jsonpatch.Patch `json:"patch,omitempty"`
	PatchType     string          `json:"patchType,omitempty"`
}

func note(w *request.Write, key string, v any) {
	if b, err := json.Marshal(v); err == nil {
		w.Annotate(key, string(b))
	}
}
