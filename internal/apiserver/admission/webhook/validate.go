package webhook

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// invocation is one hook that is to be asked, and what it said.
type invocation struct {
	hook   *hook
	as     match.As
	v      versioned
	answer *answer
	err    error
}

// validate asks every webhook that is for the write, all at once. The first refusal, in the order of the
// configurations, is the answer.
func (h *Hooks) validate(ctx context.Context, w *request.Write) error {
	hooks := h.validating.asked(w)
	if len(hooks) == 0 {
		return nil
	}
	s := newSubject(w)
	var list []*invocation
	for _, k := range hooks {
		as, ok, err := h.applies(ctx, k, s)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		v, err := s.in(as)
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		list = append(list, &invocation{hook: k, as: as, v: v})
	}
	if len(list) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return apierrors.NewTimeoutError("request did not complete within requested timeout", 0)
	}
	h.ask(ctx, s, list)
	var first error
	for i, in := range list {
		err := in.err
		if err == nil {
			err = in.answer.settle(in.hook, s)
		} else {
			err = h.failed(ctx, in.hook, s, err, fmt.Sprintf("failed-open.validating.webhook.admission.k8s.io/round_0_index_%d", i))
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (h *Hooks) ask(ctx context.Context, s *subject, list []*invocation) {
	var wg sync.WaitGroup
	for _, in := range list[1:] {
		wg.Go(func() { in.answer, in.err = h.call(ctx, in.hook, s, in.as, in.v, false) })
	}
	in := list[0]
	in.answer, in.err = h.call(ctx, in.hook, s, in.as, in.v, false)
	wg.Wait()
}
