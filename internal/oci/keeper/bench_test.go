package keeper_test

import (
	"fmt"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/oci/keeper"
)

// BenchmarkCreateStart is the time from nothing to a running command, as an engine sees it.
func BenchmarkCreateStart(b *testing.B) {
	k := newKit(b)
	go func() {
		for range k.events {
		}
	}()
	spec := k.spec("")
	spec.Process.Args = []string{"/bin/sleep", "1000"}
	b.ResetTimer()
	b.StopTimer()
	for i := range b.N {
		id := fmt.Sprint("c", i)
		s := *spec
		l := *spec.Linux
		l.CgroupsPath += fmt.Sprint(i)
		s.Linux = &l
		b.StartTimer()
		if _, err := k.Create(k.ctx, keeper.Container{ID: id, Spec: &s}); err != nil {
			b.Fatal(err)
		}
		if err := k.Start(k.ctx, id); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := k.Delete(k.ctx, id); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExec is one `true` in a running container, from the request to its exit code.
func BenchmarkExec(b *testing.B) {
	k := newKit(b)
	if _, err := k.Create(k.ctx, keeper.Container{ID: "c", Spec: k.spec("exec sleep 1000")}); err != nil {
		b.Fatal(err)
	}
	if err := k.Start(k.ctx, "c"); err != nil {
		b.Fatal(err)
	}
	p := &specs.Process{Args: []string{"/bin/true"}, Cwd: "/"}
	b.ResetTimer()
	for range b.N {
		h, err := k.Exec(k.ctx, "c", keeper.Exec{Process: p})
		if err != nil {
			b.Fatal(err)
		}
		if code, err := h.Wait(k.ctx); err != nil || code != 0 {
			b.Fatal(code, err)
		}
		h.Close()
	}
}
