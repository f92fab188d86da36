package policy

import (
	"testing"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// TestNoPoliciesCostNothing: a write pays no allocation while no policy is bound.
func TestNoPoliciesCostNothing(t *testing.T) {
	w := newWorld(t)
	wr := w.write(request.Create, deployment(1), nil)
	wr.Pass = 1
	if n := testing.AllocsPerRun(100, func() {
		if w.steps[0].Mutate(t.Context(), wr) != nil || w.steps[1].Check(t.Context(), wr) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchmark(b *testing.B, docs string) {
	w := newWorld(b)
	if docs != "" {
		w.put(b, docs)
	}
	wr := w.write(request.Create, deployment(3), nil)
	wr.Pass = 1
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.steps[1].Check(ctx, wr); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNoPolicy(b *testing.B) { benchmark(b, "") }

func BenchmarkOnePolicy(b *testing.B) {
	benchmark(b, validatingDocs("  validations: [{expression: object.spec.replicas < 5}]", "  validationActions: [Deny]\n"))
}

func BenchmarkPolicyOfOthers(b *testing.B) {
	benchmark(b, validatingDocs("  validations: [{expression: object.spec.replicas < 5}]", "  validationActions: [Deny]\n  matchResources: {objectSelector: {matchLabels: {no: one}}}\n"))
}
