package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dhow-project/dhow/internal/config"
)

// Clusters that were started at the same moment have chosen the same network.
func TestClustersStartedTogetherChooseApart(t *testing.T) {
	machine, data := t.TempDir(), t.TempDir()
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		got = map[string]string{}
	)
	for i := range 12 {
		c := config.Config{Name: fmt.Sprintf("c%d", i), DataDir: filepath.Join(data, fmt.Sprint(i%3), fmt.Sprint(i))}
		l := config.Layout{Data: c.DataDir, Run: filepath.Join(machine, "run", c.Name)}
		all.Go(func() {
			settled, err := settleAndKeep(c, l)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for _, has := range []string{settled.PodCIDR, settled.ServiceCIDR, settled.Listen} {
				if got[has] != "" {
					t.Errorf("%s has %s, and so does %s", c.Name, has, got[has])
				}
				got[has] = c.Name
			}
		})
	}
	all.Wait()
}

func settleAndKeep(c config.Config, l config.Layout) (config.Config, error) {
	if err := os.MkdirAll(l.Data, 0o700); err != nil {
		return c, err
	}
	release, err := alone(l)
	if err != nil {
		return c, err
	}
	defer release()
	if c, err = settle(c, l); err != nil {
		return c, err
	}
	unlock, err := lock(l)
	if err != nil {
		return c, err
	}
	defer unlock()
	return c, keep(c, l)
}

// A cluster that was stopped while another one chose may find its networks taken.
func TestNetworkOfAnotherClusterIsRefused(t *testing.T) {
	machine := t.TempDir()
	first := config.Config{Name: "first", DataDir: filepath.Join(machine, "a", "first"), PodCIDR: "10.99.0.0/16", ServiceCIDR: "10.98.0.0/16"}
	if _, err := settleAndKeep(first, config.Layout{Data: first.DataDir, Run: filepath.Join(machine, "run", "first")}); err != nil {
		t.Fatal(err)
	}
	second := config.Config{Name: "second", DataDir: filepath.Join(machine, "b", "second"), PodCIDR: "10.99.128.0/17", ServiceCIDR: "10.97.0.0/16"}
	_, err := settleAndKeep(second, config.Layout{Data: second.DataDir, Run: filepath.Join(machine, "run", "second")})
	if err == nil || !strings.Contains(err.Error(), "cluster \"first\" uses the network 10.99.128.0/17, too") {
		t.Error(err)
	}
}

// The last cluster of a machine takes the directory away that is locked.
func TestOneAtATimeWhileTheDirectoryComesAndGoes(t *testing.T) {
	machine := filepath.Join(t.TempDir(), "run")
	var all sync.WaitGroup
	var inside sync.Mutex
	for i := range 8 {
		all.Go(func() {
			d := &daemon{layout: config.Layout{Run: filepath.Join(machine, fmt.Sprint(i))}}
			for range 50 {
				release, err := alone(d.layout)
				if err != nil {
					t.Error(err)
					return
				}
				if inside.TryLock() {
					runtime.Gosched()
					inside.Unlock()
				} else {
					t.Error("two at a time")
				}
				release()
				if err := d.leaveMachine(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
