package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	caller "github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// callError says that a webhook could not be asked or gave no answer; the failure policy decides what comes of it.
type callError struct {
	hook   string
	reason error
}

func (e *callError) Error() string {
	return fmt.Sprintf("failed calling webhook %q: %v", e.hook, e.reason)
}
func (e *callError) Unwrap() error { return e.reason }

// call asks one webhook. An error that is no *callError is the write's: the webhook refused it, or has effects that a
// dry run must not have.
func (h *Hooks) call(ctx context.Context, k *hook, s *subject, as match.As, v versioned, mutating bool) (*answer, error) {
	if s.w.DryRun && !dryRunSafe(k.sideEffects) {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("admission webhook %q does not support dry run", k.name))
	}
	r, err := newReview(k, s, as, v)
	if err != nil {
		return nil, &callError{k.name, fmt.Errorf("could not create admission objects: %w", err)}
	}
	if err := h.Caller.Call(ctx, k.target, within(ctx, k.timeout), r.question, r.answer); err != nil {
		return nil, &callError{k.name, fmt.Errorf("failed to call webhook: %w", reason(err))}
	}
	a, err := r.read(mutating)
	if err != nil {
		return nil, &callError{k.name, fmt.Errorf("received invalid webhook response: %w", err)}
	}
	return a, nil
}

func dryRunSafe(c *admissionregistrationv1.SideEffectClass) bool {
	return c != nil && (*c == admissionregistrationv1.SideEffectClassNone || *c == admissionregistrationv1.SideEffectClassNoneOnDryRun)
}

// within shortens a time limit to what is left of the write's own, in whole seconds: the webhook is told of it.
func within(ctx context.Context, limit time.Duration) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		if left := time.Until(end); left < limit {
			return max(left+time.Second-1, 0).Truncate(time.Second)
		}
	}
	return limit
}

// reason words an answer that is no success as every client of the API does.
func reason(err error) error {
	var status *caller.StatusError
	if errors.As(err, &status) && status.Code >= http.StatusBadRequest {
		return apierrors.NewGenericServerResponse(status.Code, "POST", schema.GroupResource{}, "", status.Text, 0, true)
	}
	return err
}

// settle notes what the webhook said beside its decision, and makes a refusal an error.
func (a *answer) settle(k *hook, s *subject) error {
	for key, value := range a.annotations {
		s.w.Annotate(k.name+"/"+key, value)
	}
	s.w.Warnings = append(s.w.Warnings, a.warnings...)
	if a.allowed {
		return nil
	}
	return refusal(k.name, a.status)
}

// refusal is the answer to the client: the webhook's own status, made an error with the webhook's name in it.
func refusal(name string, status *metav1.Status) error {
	st := metav1.Status{}
	if status != nil {
		st = *status
	}
	if st.Code < http.StatusBadRequest {
		st.Code = http.StatusBadRequest
	}
	if st.Status == "" || st.Status == metav1.StatusSuccess {
		st.Status = metav1.StatusFailure
	}
	by := fmt.Sprintf("admission webhook %q denied the request", name)
	switch {
	case st.Message != "":
		st.Message = by + ": " + st.Message
	case st.Reason != "":
		st.Message = by + ": " + string(st.Reason)
	default:
		st.Message = by + " without explanation"
	}
	return &apierrors.StatusError{ErrStatus: st}
}

// failed decides what a webhook that gave no answer means for the write: nil, and it goes on without it.
func (h *Hooks) failed(ctx context.Context, k *hook, s *subject, err error, open string) error {
	var failure *callError
	if !errors.As(err, &failure) {
		return err
	}
	if !k.ignore {
		h.Log.Warn("webhook failed, so does the write", "webhook", k.name, "err", err)
		return apierrors.NewInternalError(failure)
	}
	if ctx.Err() != nil {
		return apierrors.NewTimeoutError("request did not complete within requested timeout", 0)
	}
	h.Log.Warn("webhook failed, the write goes on without it", "webhook", k.name, "err", err)
	s.w.Annotate(open, k.name)
	return nil
}
