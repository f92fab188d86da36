package proxy

import (
	"iter"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// state is what the kernel has, by our own account: it is never asked. Chains and sets are there as long as
// anybody claims them. Of two Services that claim the same key, an external IP perhaps, the one whose name sorts
// first gets it, so that every node decides alike.
type state struct {
	services map[types.NamespacedName][]claim
	holders  map[string]map[string][]holder // set → key → claims, the first one counts
	shared   map[string]map[string]*use     // chains and sets: key → users
}

type use struct {
	claim claim
	n     int
}

func isShared(set string) bool { return set == chains || set == sets }

type holder struct {
	owner types.NamespacedName
	claim claim
}

func newState() *state {
	return &state{services: map[types.NamespacedName][]claim{}, holders: map[string]map[string][]holder{},
		shared: map[string]map[string]*use{chains: {}, sets: {}}}
}

// plan is one transaction: the order of its fields is the order they are done in.
type plan struct {
	addSets      []claim
	addChains    []claim
	changeChains []claim // other rules under the same name
	remove       map[string][]claim
	add          map[string][]claim
	removeChains []claim
	removeSets   []claim
}

func (p plan) empty() bool {
	return len(p.remove)+len(p.add)+len(p.addChains)+len(p.changeChains)+len(p.removeChains)+len(p.addSets)+len(p.removeSets) == 0
}

// replace makes the claims of the named Services be these (none: the Service is gone) and plans the difference.
func (s *state) replace(changed map[types.NamespacedName][]claim) plan {
	before := map[string]map[string]*claim{} // of every key touched
	touch := func(c claim) {
		keys := before[c.set]
		if keys == nil {
			keys = map[string]*claim{}
			before[c.set] = keys
		}
		if _, ok := keys[c.key]; !ok {
			keys[c.key] = s.winner(c.set, c.key)
		}
	}
	for name, claims := range changed {
		for c := range withParts(s.services[name]) {
			touch(c)
			s.release(name, c)
		}
		for c := range withParts(claims) {
			touch(c)
			s.hold(name, c)
		}
		if len(claims) == 0 {
			delete(s.services, name)
		} else {
			s.services[name] = claims
		}
	}
	return s.difference(before)
}

// withParts follows each chain by its parts.
func withParts(claims []claim) iter.Seq[claim] {
	return func(yield func(claim) bool) {
		for _, c := range claims {
			if !yield(c) {
				return
			}
			if c.set != chains {
				continue
			}
			for _, x := range c.parts() {
				if !yield(x) {
					return
				}
			}
		}
	}
}

func (s *state) winner(set, key string) *claim {
	if isShared(set) {
		if u := s.shared[set][key]; u != nil {
			return &u.claim
		}
		return nil
	}
	if h := s.holders[set][key]; len(h) > 0 {
		c := h[0].claim
		return &c
	}
	return nil
}

func (s *state) release(name types.NamespacedName, c claim) {
	if isShared(c.set) {
		u := s.shared[c.set][c.key]
		if u.n--; u.n == 0 {
			delete(s.shared[c.set], c.key)
		}
		return
	}
	keys := s.holders[c.set]
	h := keys[c.key]
	i := slices.IndexFunc(h, func(x holder) bool { return x.owner == name })
	if i < 0 {
		return
	}
	if len(h) == 1 {
		delete(keys, c.key)
		return
	}
	keys[c.key] = slices.Delete(slices.Clone(h), i, i+1)
}

func (s *state) hold(name types.NamespacedName, c claim) {
	if isShared(c.set) {
		u := s.shared[c.set][c.key]
		if u == nil {
			u = &use{claim: c}
			s.shared[c.set][c.key] = u
		}
		u.n++
		return
	}
	keys := s.holders[c.set]
	if keys == nil {
		keys = map[string][]holder{}
		s.holders[c.set] = keys
	}
	h := keys[c.key]
	if slices.ContainsFunc(h, func(x holder) bool { return x.owner == name }) {
		return // one Service says the same twice
	}
	at, _ := slices.BinarySearchFunc(h, name, func(x holder, n types.NamespacedName) int { return compareNames(x.owner, n) })
	keys[c.key] = slices.Insert(h, at, holder{name, c})
}

func compareNames(a, b types.NamespacedName) int {
	if a.Namespace != b.Namespace {
		if a.Namespace < b.Namespace {
			return -1
		}
		return 1
	}
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

func (s *state) difference(before map[string]map[string]*claim) plan {
	p := plan{remove: map[string][]claim{}, add: map[string][]claim{}}
	for _, set := range slices.Sorted(maps.Keys(before)) {
		keys := before[set]
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			was, is := keys[key], s.winner(set, key)
			switch {
			case was == nil && is == nil, was != nil && is != nil && *was == *is:
			case set == chains && is == nil:
				p.removeChains = append(p.removeChains, *was)
			case set == chains && was == nil:
				p.addChains = append(p.addChains, *is)
			case set == chains:
				p.changeChains = append(p.changeChains, *is)
			case set == sets && is == nil:
				p.removeSets = append(p.removeSets, *was)
			case set == sets && was == nil:
				p.addSets = append(p.addSets, *is)
			case set == sets:
			default:
				if was != nil {
					p.remove[set] = append(p.remove[set], *was)
				}
				if is != nil {
					p.add[set] = append(p.add[set], *is)
				}
			}
		}
	}
	return p
}
