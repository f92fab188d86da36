package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Pulls, builds and removals at the same time never leave an image without its layers.
func TestCollectWhilePulling(t *testing.T) {
	ctx := context.Background()
	host := memRegistry(t)
	ref, err := name.ParseReference(host + "/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, testImage(t)); err != nil {
		t.Fatal(err)
	}
	s := open4test(t)
	stop := make(chan struct{})
	var pruner, wg sync.WaitGroup
	pruner.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.Prune(ctx, true); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 3 {
		wg.Go(func() {
			for range 15 {
				img, err := s.Pull(ctx, ref.String(), nil, PullOptions{})
				if fault.Is(err, fault.NotFound) {
					continue // removed before Pull could look at it
				}
				if err != nil {
					t.Error(err)
					return
				}
				owner := fmt.Sprint("container ", n)
				if s.Acquire(string(img.ID), owner) != nil {
					continue
				}
				dirs, err := s.DirsOf(img.Layers)
				if err != nil {
					t.Error(err)
				}
				for _, d := range dirs {
					if _, err := os.Stat(d); err != nil {
						t.Error(err)
					}
				}
				s.Release(owner)
			}
		})
	}
	wg.Wait()
	close(stop)
	pruner.Wait()
}

func BenchmarkPull(b *testing.B) {
	host := memRegistry(b)
	ref, _ := name.ParseReference(host + "/app:v1")
	img := bigImage(b)
	if err := remote.Write(ref, img); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4 * 32 << 20)
	for b.Loop() {
		s := open4test(b)
		if _, err := s.Pull(context.Background(), ref.String(), nil, PullOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// half random: gzip makes of it what it makes of programs
func noise(n int, seed uint32) []byte {
	var out bytes.Buffer
	for out.Len() < n {
		seed = seed*1664525 + 1013904223
		fmt.Fprintf(&out, "%x %s", seed, "the same again ")
	}
	return out.Bytes()[:n]
}
