package node

import (
	"fmt"
	"runtime"
	"testing"
)

// TestIdlePodsHaveNoGoroutines: a pod that nothing happens to costs memory alone.
func TestIdlePodsHaveNoGoroutines(t *testing.T) {
	w := newWorld(t)
	w.create(web("first"))
	w.running("first")
	before := runtime.NumGoroutine()
	const n = 50
	for i := range n {
		w.create(web(fmt.Sprintf("p%d", i)))
	}
	for i := range n {
		w.running(fmt.Sprintf("p%d", i))
	}
	for runtime.NumGoroutine() > before+5 { // workers and writers are on their way out
		runtime.Gosched()
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%d goroutines, heap %d KB", runtime.NumGoroutine(), m.HeapAlloc>>10)
}
