package node

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// BenchmarkPodToRunning is the node's own share of "pod create → Running": engine and API are in memory.
func BenchmarkPodToRunning(b *testing.B) {
	w := newWorldFor(b)
	w.create(web("warm"))
	w.until("warm", "running", isRunning)
	b.ResetTimer()
	for i := range b.N {
		name := fmt.Sprintf("p%d", i)
		w.create(web(name))
		w.until(name, "running", isRunning)
		b.StopTimer()
		w.delete(name, 0)
		b.StartTimer()
	}
}

// BenchmarkHundredPods starts 100 pods at once.
func BenchmarkHundredPods(b *testing.B) {
	w := newWorldFor(b)
	for i := range b.N {
		for j := range 100 {
			w.create(web(fmt.Sprintf("p%d-%d", i, j)))
		}
		for j := range 100 {
			w.until(fmt.Sprintf("p%d-%d", i, j), "running", isRunning)
		}
		b.StopTimer()
		for j := range 100 {
			w.delete(fmt.Sprintf("p%d-%d", i, j), 30)
		}
		for j := range 100 {
			w.gone(fmt.Sprintf("p%d-%d", i, j))
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(w.conn.writes["pods"])/float64(100*b.N), "podwrites/pod")
}

func isRunning(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }
