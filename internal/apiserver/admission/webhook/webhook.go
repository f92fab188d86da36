// Package webhook asks the cluster's admission webhooks about writes, as
// MutatingWebhookConfigurations and ValidatingWebhookConfigurations say.
//
// Configurations are followed: one takes effect when its write is answered, and
// a cluster without any pays one atomic load a write. Which writes a webhook is
// for is decided in admission/match, how it is reached in apiserver/webhook.
// This package must not know the server. Read this file first, then mutate.go
// and validate.go; review.go is the protocol (reference: Dynamic Admission Control).
package webhook

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	caller "github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// Options are what hooks need beyond the Reader.
type Options struct {
	Caller     *caller.Caller
	Authorizer request.Authorizer // of match conditions
	Log        *slog.Logger       // nil means none
}

// Hooks are all webhooks of the cluster. Use New.
type Hooks struct {
	Options
	reader               request.Reader
	mutating, validating configurations
}

// New follows the configurations in r. Call it before the server starts.
func New(r request.Reader, o Options) *Hooks {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hooks{Options: o, reader: r}
	h.follow("mutatingwebhookconfigurations", &h.mutating)
	h.follow("validatingwebhookconfigurations", &h.validating)
	return h
}

// Mutating is the step that asks mutating webhooks.
func (h *Hooks) Mutating() request.Step {
	return request.Step{Name: "MutatingAdmissionWebhook", Mutate: h.mutate}
}

// Validating is the step that asks validating webhooks.
func (h *Hooks) Validating() request.Step {
	return request.Step{Name: "ValidatingAdmissionWebhook", Check: h.validate}
}

// asked are the hooks to consider for a write: none for what configures admission.
func (c *configurations) asked(w *request.Write) []*hook {
	list := c.hooks()
	if len(list) == 0 || match.Exempt(w.Kind) {
		return nil
	}
	return list
}

func (h *Hooks) namespace(name string) (*corev1.Namespace, bool) {
	o, ok := h.reader.Get(h.reader.Registry().Resource(corev1.Resource("namespaces")), "", name)
	if !ok {
		return nil, false
	}
	ns, ok := o.(*corev1.Namespace)
	return ns, ok
}

// applies decides whether a hook is called for the write, and as what.
func (h *Hooks) applies(ctx context.Context, k *hook, s *subject) (match.As, bool, error) {
	as, ok, err := k.rules.Match(s.target, h.namespace)
	if err != nil || !ok {
		return as, false, err
	}
	ok, err = h.conditionsMet(ctx, k, s, as)
	return as, ok, err
}
