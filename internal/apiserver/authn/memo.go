package authn

import (
	"crypto/sha256"
	"sync"
)

// memo remembers what public-key cryptography found out about a credential, by its hash: a signature does not
// become wrong, and checking one costs more than the whole rest of a call. Everything that can
// change (times, objects) is checked each time. Only good credentials are remembered.
type memo[T any] struct {
	mu   sync.RWMutex
	good map[[sha256.Size]byte]T
}

// memoSize bounds the number remembered; beyond it arbitrary ones are forgotten.
const memoSize = 4096

func (m *memo[T]) get(key [sha256.Size]byte) (T, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.good[key]
	return v, ok
}

func (m *memo[T]) put(key [sha256.Size]byte, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.good == nil {
		m.good = map[[sha256.Size]byte]T{}
	}
	for k := range m.good {
		if len(m.good) < memoSize {
			break
		}
		delete(m.good, k)
	}
	m.good[key] = v
}
