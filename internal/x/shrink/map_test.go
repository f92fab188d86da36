package shrink

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMap: it does what a map does, whatever it did before.
func TestMap(t *testing.T) {
	var m Map[int, int]
	want := map[int]int{}
	for round := range 6 {
		limit := 1 << (2 * rand.IntN(8))
		for range 20000 {
			k := rand.IntN(limit)
			if rand.IntN(2+round%3) == 0 {
				m.Set(k, round)
				want[k] = round
			} else {
				m.Delete(k)
				delete(want, k)
			}
		}
		if d := cmp.Diff(want, m.All()); d != "" && m.Len()+len(want) > 0 {
			t.Fatal(d)
		}
	}
	if v, ok := m.Get(-1); ok || v != 0 {
		t.Error("there is what was never set")
	}
}

// TestMapShrinks: emptied, it needs little.
func TestMapShrinks(t *testing.T) {
	var m Map[int, [64]byte]
	before := live()
	for i := range 100000 {
		m.Set(i, [64]byte{})
	}
	for i := range 99990 {
		m.Delete(i)
	}
	if more := live() - before; more > 1<<20 {
		t.Errorf("%d KB for %d entries", more>>10, m.Len())
	}
	runtime.KeepAlive(&m)
}

func live() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
