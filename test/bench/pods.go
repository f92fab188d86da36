package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const podPath = "/api/v1/namespaces/default/pods"

func measurePods(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	w, err := c.watchPods()
	if err != nil {
		return err
	}
	defer w.stop()
	var times []time.Duration
	for i := range b.times(100) {
		name := fmt.Sprintf("one-%d", i)
		begin := time.Now()
		if err := c.api.create(c.api.http, podPath, pod(name)); err != nil {
			return err
		}
		at, err := w.running(name)
		if err != nil {
			return err
		}
		times = append(times, at.Sub(begin))
		if err := c.api.delete(podPath + "/" + name); err != nil {
			return err
		}
		if _, err := w.deleted(name); err != nil {
			return err
		}
	}
	slices.Sort(times)
	b.set("pod create → Running at a watcher, p50", "%s", millis(percentile(times, 50)))
	b.set("pod create → Running at a watcher, p99", "%s", millis(percentile(times, 99)))
	return b.manyPods(c, w)
}

func (b *bench) manyPods(c *cluster, w *podWatch) error {
	const many = 110
	begin := time.Now()
	if err := parallel(16, many, func(_ *http.Client, i int) error {
		return c.api.create(c.api.http, podPath, pod(fmt.Sprintf("many-%d", i)))
	}, c.api); err != nil {
		return err
	}
	var last time.Time
	for i := range many {
		at, err := w.running(fmt.Sprintf("many-%d", i))
		if err != nil {
			return err
		}
		if at.After(last) {
			last = at
		}
	}
	b.set("110 pods at once, all Running", "%s", millis(last.Sub(begin)))
	n, err := c.processes()
	if err != nil {
		return err
	}
	b.set("processes a pod costs beyond its own", "%.0f", float64(n)/many-1)
	for i := range many {
		if err := c.api.delete(fmt.Sprintf("%s/many-%d", podPath, i)); err != nil {
			return err
		}
	}
	for i := range many {
		if _, err := w.deleted(fmt.Sprintf("many-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// processes counts those in cgroups of the cluster.
func (c *cluster) processes() (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	n := 0
	for _, path := range files {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), "/dhow-"+c.name+"/") {
			n++
		}
	}
	return n, err
}

// podWatch notes when it saw what.
type podWatch struct {
	events chan podEvent
	ended  chan error
	seen   map[string]time.Time
	client *http.Client
}

type podEvent struct {
	key string // "running NAME" or "deleted NAME"
	at  time.Time
}

func (c *cluster) watchPods() (*podWatch, error) {
	w := &podWatch{events: make(chan podEvent, 4096), ended: make(chan error, 1), seen: map[string]time.Time{}, client: c.api.client()}
	ready := make(chan struct{})
	go func() {
		w.ended <- c.api.watch(w.client, podPath+"?watch=1", func() { close(ready) }, func(e event) bool {
			switch {
			case e.Type == "DELETED":
				w.events <- podEvent{"deleted " + e.Object.Metadata.Name, time.Now()}
			case e.Object.Status.Phase == "Running":
				w.events <- podEvent{"running " + e.Object.Metadata.Name, time.Now()}
			}
			return true
		})
	}()
	select {
	case <-ready:
		return w, nil
	case err := <-w.ended:
		return nil, err
	}
}

func (w *podWatch) stop() { w.client.CloseIdleConnections() }

func (w *podWatch) running(pod string) (time.Time, error) { return w.await("running " + pod) }
func (w *podWatch) deleted(pod string) (time.Time, error) { return w.await("deleted " + pod) }

func (w *podWatch) await(key string) (time.Time, error) {
	patience := time.After(time.Minute)
	for {
		if at, ok := w.seen[key]; ok {
			return at, nil
		}
		select {
		case e := <-w.events:
			if _, ok := w.seen[e.key]; !ok {
				w.seen[e.key] = e.at
			}
		case err := <-w.ended:
			return time.Time{}, fmt.Errorf("the watch ended: %w", err)
		case <-patience:
			return time.Time{}, fmt.Errorf("not seen after a minute: %s", key)
		}
	}
}
