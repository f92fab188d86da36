package webhook

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	caller "github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// hook is one webhook of a configuration, ready to be called.
type hook struct {
	id            string // configuration, name and how many of that name came before: names need not be unique
	configuration string
	name          string
	rules         *match.Rules
	target        caller.Target
	timeout       time.Duration
	ignore        bool // failurePolicy: its failures do not fail the write
	reinvoke      bool // reinvocationPolicy IfNeeded
	sideEffects   *admissionregistrationv1.SideEffectClass
	versions      []string // of AdmissionReview, the preferred one first
	conditions    conditions
}

// configurations are those of one kind, compiled. Reading is one atomic load.
type configurations struct {
	mu   sync.Mutex
	by   map[string][]*hook
	list atomic.Pointer[[]*hook]
}

// hooks are all hooks: by the names of their configurations, then as these list them.
func (c *configurations) hooks() []*hook {
	if l := c.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (c *configurations) set(name string, hooks []*hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string][]*hook{}
	}
	if c.by[name] = hooks; hooks == nil {
		delete(c.by, name)
	}
	var all []*hook
	for _, n := range slices.Sorted(maps.Keys(c.by)) {
		all = append(all, c.by[n]...)
	}
	c.list.Store(&all)
}

// follow keeps c what the objects of the resource say.
func (h *Hooks) follow(resource string, c *configurations) {
	k := h.reader.Registry().Resource(schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: resource})
	if k == nil {
		return
	}
	h.reader.OnChange(k, func(old, obj api.Object) {
		if obj == nil {
			c.set(old.GetName(), nil)
			return
		}
		if old != nil && old.GetUID() == obj.GetUID() && old.GetGeneration() == obj.GetGeneration() {
			return // labels and the like: what is compiled stays
		}
		hooks, err := compile(obj)
		if err != nil {
			h.Log.Error("compile webhook configuration", "name", obj.GetName(), "err", err)
		}
		c.set(obj.GetName(), hooks)
	})
}

// compile makes hooks of a configuration whose defaults are filled in; one that cannot be compiled, which
// validation lets nobody write, is left out.
func compile(obj api.Object) (out []*hook, err error) {
	seen := map[string]int{}
	for _, w := range webhooks(obj) {
		rules, e := match.Hook(w.Rules, w.MatchPolicy, w.NamespaceSelector, w.ObjectSelector)
		if e != nil {
			err = e
			continue
		}
		k := &hook{
			id: fmt.Sprintf("%s/%s/%d", obj.GetName(), w.Name, seen[w.Name]), configuration: obj.GetName(), name: w.Name,
			rules: rules, target: caller.ForAdmission(&w.ClientConfig), timeout: 10 * time.Second,
			ignore:      w.FailurePolicy != nil && *w.FailurePolicy == admissionregistrationv1.Ignore,
			reinvoke:    w.ReinvocationPolicy != nil && *w.ReinvocationPolicy == admissionregistrationv1.IfNeededReinvocationPolicy,
			sideEffects: w.SideEffects, versions: w.AdmissionReviewVersions, conditions: newConditions(w.MatchConditions),
		}
		seen[w.Name]++
		if w.TimeoutSeconds != nil {
			k.timeout = time.Duration(*w.TimeoutSeconds) * time.Second
		}
		out = append(out, k)
	}
	return out, err
}

// webhooks are a configuration's; a validating one is a mutating one that is not invoked again.
func webhooks(obj api.Object) []admissionregistrationv1.MutatingWebhook {
	switch c := obj.(type) {
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		return c.Webhooks
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		out := make([]admissionregistrationv1.MutatingWebhook, len(c.Webhooks))
		for i, w := range c.Webhooks {
			out[i] = admissionregistrationv1.MutatingWebhook{
				Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
				NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector, SideEffects: w.SideEffects,
				TimeoutSeconds: w.TimeoutSeconds, AdmissionReviewVersions: w.AdmissionReviewVersions, MatchConditions: w.MatchConditions,
			}
		}
		return out
	}
	return nil
}
