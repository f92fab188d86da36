package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func measureList(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	const many, bytes = 5000, 460 // 4.8 MB with managed fields, as the upstream figure
	if err := parallel(64, many, func(h *http.Client, i int) error {
		return c.api.create(h, mapPath, configMap(fmt.Sprintf("list-%d", i), bytes))
	}, c.api); err != nil {
		return err
	}
	size := 0
	before, err := c.cpu()
	if err != nil {
		return err
	}
	n := b.times(30)
	times, err := measureTimes(n, func(int) error {
		raw, err := c.api.request(c.api.http, http.MethodGet, mapPath, "", nil)
		size = len(raw)
		return err
	})
	if err != nil {
		return err
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	b.set("list of 5,000, p50", "%s", millis(percentile(times, 50)))
	b.set("list of 5,000, size", "%s", megabytes(int64(size)))
	b.set("list of 5,000, server CPU", "%s", millis((after-before)/time.Duration(n)))
	return c.api.delete(mapPath)
}

// measureGrowth makes and deletes many objects in a cluster of its own, and looks when all is quiet again. The rows say how
// many, and when: histories keep what is younger than two minutes, so that a quick look sees more.
func measureGrowth(b *bench) error {
	c := b.newCluster()
	if err := c.up(); err != nil {
		return err
	}
	defer c.purge()
	time.Sleep(30 * time.Second) // memory of the start is given back, too
	idle, idleAnonymous, err := c.memory()
	if err != nil {
		return err
	}
	n := b.times(100000)
	if err := parallel(64, n, func(h *http.Client, i int) error {
		return c.api.create(h, mapPath, configMap(fmt.Sprintf("grow-%d", i), 100))
	}, c.api); err != nil {
		return err
	}
	err = c.api.delete(mapPath)
	for err != nil && strings.Contains(err.Error(), "504 Gateway Timeout") { // a request has a minute, as upstream
		err = c.api.delete(mapPath)
	}
	if err != nil {
		return err
	}
	wait := 220 * time.Second
	if b.quick {
		wait = 40 * time.Second
	}
	time.Sleep(wait)
	after, anonymous, err := c.memory()
	if err != nil {
		return err
	}
	fi, err := os.Stat(c.layout.Store())
	if err != nil {
		return err
	}
	load := fmt.Sprintf("%s objects, %s later", number(float64(n)), wait)
	b.set("memory after many objects came and went", "%s, %.0f %% of idle; anonymous %s, was %s (%s)",
		megabytes(after), 100*float64(after)/float64(idle), megabytes(anonymous), megabytes(idleAnonymous), load)
	b.set("store file after many objects came and went", "%s (%s)", megabytes(fi.Size()), load)
	return nil
}

func measureRestart(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	if err := parallel(64, 10000, func(h *http.Client, i int) error {
		return c.api.create(h, mapPath, configMap(fmt.Sprintf("warm-%d", i), 100))
	}, c.api); err != nil {
		return err
	}
	w, err := c.watchPods()
	if err != nil {
		return err
	}
	defer w.stop()
	for i := range 10 {
		name := fmt.Sprintf("warm-%d", i)
		if err := c.api.create(c.api.http, podPath, pod(name)); err != nil {
			return err
		}
		if _, err := w.running(name); err != nil {
			return err
		}
	}
	var all []time.Duration
	for range b.times(10) {
		if err := c.stopDaemon(); err != nil {
			return err
		}
		begin := time.Now()
		if err := c.up(); err != nil {
			return err
		}
		all = append(all, time.Since(begin))
	}
	b.set("warm restart, 10,000 objects, pods running", "%s", millis(median(all)))
	return nil
}
