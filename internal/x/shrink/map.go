// Package shrink has a map whose memory follows what it holds. Go's keeps the room of the most it ever held.
package shrink

import "maps"

// small is what a map may have had at most without being looked at.
const small = 1024

// Map is like map[K]V; the zero Map is empty and ready. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	m    map[K]V
	most int // it has held since it was made
}

// Get is m[k].
func (m *Map[K, V]) Get(k K) (V, bool) {
	v, ok := m.m[k]
	return v, ok
}

// Set is m[k] = v.
func (m *Map[K, V]) Set(k K, v V) {
	if m.m == nil {
		m.m = map[K]V{}
	}
	m.m[k] = v
	m.most = max(m.most, len(m.m))
}

// Delete is delete(m, k). It moves what is left to a smaller map when that is less than a quarter of the most.
func (m *Map[K, V]) Delete(k K) {
	delete(m.m, k)
	if m.most <= small || len(m.m) >= m.most/4 {
		return
	}
	rest := make(map[K]V, len(m.m))
	maps.Copy(rest, m.m)
	m.m, m.most = rest, len(rest)
}

// Len is len(m).
func (m *Map[K, V]) Len() int { return len(m.m) }

// All is for ranging over; what is ranged over must not be changed.
func (m *Map[K, V]) All() map[K]V { return m.m }
