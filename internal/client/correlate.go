package client

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Upstream's event correlation (client-go tools/record): equal events within ten minutes are one with a count; of more
// than ten that differ only in their message, the rest is combined; one object has a budget of events.
const (
	correlateFor   = 10 * time.Minute
	similarMax     = 10
	objectBurst    = 25
	objectRefill   = 5 * time.Minute
	correlateLimit = 4096
	combinedPrefix = "(combined from similar events): "
)

type similarKey struct {
	source       corev1.EventSource
	object       corev1.ObjectReference
	kind, reason string
}

type equalKey struct {
	similarKey
	message string
}

type budgetKey struct {
	source corev1.EventSource
	object corev1.ObjectReference
}

type similar struct {
	messages map[string]bool
	last     time.Time
}

type written struct {
	name  string // empty: not yet
	count int32
	last  time.Time
}

type budget struct {
	left float64
	last time.Time
}

// correlator belongs to one goroutine.
type correlator struct {
	similar map[similarKey]*similar
	written map[equalKey]*written
	budgets map[budgetKey]*budget
}

func newCorrelator() correlator {
	return correlator{map[similarKey]*similar{}, map[equalKey]*written{}, map[budgetKey]*budget{}}
}

func keyOf(e *corev1.Event) similarKey {
	object := e.InvolvedObject
	object.ResourceVersion = ""
	return similarKey{e.Source, object, e.Type, e.Reason}
}

// correlate says what to do with e, whose message it may change: nothing (false), create it, or bump the one named.
func (c *correlator) correlate(e *corev1.Event, now time.Time) (written, bool) {
	c.shrink(now)
	key := keyOf(e)
	s := c.similar[key]
	if s == nil || now.Sub(s.last) > correlateFor {
		s = &similar{messages: map[string]bool{}}
		c.similar[key] = s
	}
	s.last = now
	message := e.Message
	if !s.messages[message] {
		if len(s.messages) >= similarMax {
			message, e.Message = "", combinedPrefix+e.Message
		} else {
			s.messages[message] = true
		}
	}
	w := c.written[equalKey{key, message}]
	if w == nil || now.Sub(w.last) > correlateFor {
		w = &written{}
		c.written[equalKey{key, message}] = w
	}
	w.count++
	w.last = now
	return *w, c.spend(budgetKey{e.Source, key.object}, now)
}

// created remembers under which name e, just correlated, was written.
func (c *correlator) created(e *corev1.Event) {
	key := equalKey{keyOf(e), e.Message}
	if c.written[key] == nil {
		key.message = ""
	}
	if w := c.written[key]; w != nil {
		w.name = e.Name
	}
}

func (c *correlator) spend(key budgetKey, now time.Time) bool {
	b := c.budgets[key]
	if b == nil {
		b = &budget{objectBurst, now}
		c.budgets[key] = b
	}
	b.left = min(objectBurst, b.left+float64(now.Sub(b.last))/float64(objectRefill))
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// shrink forgets what is old once there is much.
func (c *correlator) shrink(now time.Time) {
	if len(c.written) < correlateLimit && len(c.budgets) < correlateLimit {
		return
	}
	old := newCorrelator()
	*c, old = old, *c
	for k, v := range old.similar {
		if now.Sub(v.last) < correlateFor/2 {
			c.similar[k] = v
		}
	}
	for k, v := range old.written {
		if now.Sub(v.last) < correlateFor/2 {
			c.written[k] = v
		}
	}
	for k, v := range old.budgets {
		if now.Sub(v.last) < correlateFor/2 {
			c.budgets[k] = v
		}
	}
	if len(c.written) >= correlateLimit {
		*c = newCorrelator()
	}
}
