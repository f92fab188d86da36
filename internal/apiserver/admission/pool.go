package admission

import (
	"errors"
	"math/rand/v2"
	"sync"
)

// pool hands out numbers below size; it is a map of what is taken, rebuilt from the objects that hold
// them. The first reserve numbers are left to those who ask for one by name, while others are free
// (KEP-3070). Safe for concurrent use.
type pool struct {
	size, reserve uint64
	mu            sync.Mutex
	taken         map[uint64]string // by whom
	next          uint64
}

var (
	errTaken = errors.New("provided one is already allocated")
	errFull  = errors.New("range is full")
)

func newPool(size, reserve uint64) *pool {
	p := &pool{size: size, reserve: min(reserve, size), taken: map[uint64]string{}}
	if dynamic := p.size - p.reserve; dynamic > 0 {
		p.next = rand.Uint64N(dynamic)
	}
	return p
}

// take reserves n for owner. fresh is false when the owner had it already.
func (p *pool) take(n uint64, owner string, dryRun bool) (fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch have, ok := p.taken[n]; {
	case ok && have == owner:
		return false, nil
	case ok:
		return false, errTaken
	}
	if !dryRun {
		p.taken[n] = owner
	}
	return true, nil
}

// takeAny reserves a free number: beyond the reserved ones first, wandering, so that one just freed is not reused at once.
func (p *pool) takeAny(owner string, dryRun bool) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if uint64(len(p.taken)) >= p.size {
		return 0, errFull
	}
	try := func(n uint64) bool {
		if _, ok := p.taken[n]; ok {
			return false
		}
		if !dryRun {
			p.taken[n] = owner
		}
		return true
	}
	dynamic := p.size - p.reserve
	for range min(dynamic, uint64(len(p.taken))+1) {
		n := p.reserve + p.next%dynamic
		p.next = (p.next + 1) % dynamic
		if try(n) {
			return n, nil
		}
	}
	for n := range p.reserve {
		if try(n) {
			return n, nil
		}
	}
	return 0, errFull
}

// put records what a stored object holds, whoever was thought to.
func (p *pool) put(n uint64, owner string) {
	p.mu.Lock()
	p.taken[n] = owner
	p.mu.Unlock()
}

// free gives n back if owner holds it.
func (p *pool) free(n uint64, owner string) {
	p.mu.Lock()
	if p.taken[n] == owner {
		delete(p.taken, n)
	}
	p.mu.Unlock()
}
