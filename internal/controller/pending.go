package controller

import (
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"k8s.io/apimachinery/pkg/types"
)

// pendingFor is how long a write is waited for. The cache has it within milliseconds unless it had to relist in between.
const pendingFor = time.Minute

// Pending remembers what a controller just created or deleted until the cache has seen it, so that nothing is done twice
// from a stale view. Names are chosen before the call, which is why no event can come too early. Use NewPending.
type Pending struct {
	mu   sync.Mutex
	byID map[Key]map[string]time.Time // owner, write
	back map[string]Key
	now  func() time.Time
}

// NewPending makes a memory that is cleared by what the cache sees of T. Call before the caches run.
func NewPending[T api.Object](c client.Cache[T]) *Pending {
	p := &Pending{byID: map[Key]map[string]time.Time{}, back: map[string]Key{}, now: time.Now}
	c.Subscribe(func(old, obj T) {
		switch {
		case isNil(obj):
			p.seen(created(KeyOf(old)))
			p.seen(deleted(old.GetUID()))
		case obj.GetDeletionTimestamp() != nil:
			p.seen(created(KeyOf(obj)))
			p.seen(deleted(obj.GetUID()))
		case isNil(old):
			p.seen(created(KeyOf(obj)))
		}
	})
	return p
}

func created(k Key) string         { return "+" + k.String() }
func deleted(uid types.UID) string { return "-" + string(uid) }

// Creating says that owner is about to create the object named.
func (p *Pending) Creating(owner, name Key) { p.add(owner, created(name)) }

// NotCreated takes Creating back.
func (p *Pending) NotCreated(name Key) { p.seen(created(name)) }

// Deleting says that owner is about to delete obj.
func (p *Pending) Deleting(owner Key, obj api.Object) { p.add(owner, deleted(obj.GetUID())) }

// NotDeleted takes Deleting back.
func (p *Pending) NotDeleted(obj api.Object) { p.seen(deleted(obj.GetUID())) }

// Any is whether the cache is still behind what owner did. The event that ends this also wakes the owner; the
// time returned is when to look again in case it was missed.
func (p *Pending) Any(owner Key) (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for id, at := range p.byID[owner] {
		if now.Sub(at) >= pendingFor {
			p.remove(id)
		}
	}
	return len(p.byID[owner]) > 0, pendingFor
}

func (p *Pending) add(owner Key, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID[owner] == nil {
		p.byID[owner] = map[string]time.Time{}
	}
	p.byID[owner][id] = p.now()
	p.back[id] = owner
}

func (p *Pending) seen(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(id)
}

func (p *Pending) remove(id string) {
	owner, ok := p.back[id]
	if !ok {
		return
	}
	delete(p.back, id)
	delete(p.byID[owner], id)
	if len(p.byID[owner]) == 0 {
		delete(p.byID, owner)
	}
}
