package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// parallel runs f n times on so many clients, each with a connection of its own.
func parallel(clients, n int, f func(c *http.Client, i int) error, a *api) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := a.client()
			defer c.CloseIdleConnections()
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(c, i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// under measures requests a second and the server's CPU time of each while 64 clients ask.
func (c *cluster) under(n int, f func(c *http.Client, i int) error) (perSecond float64, cpu time.Duration, err error) {
	before, err := c.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := parallel(64, n, f, c.api); err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	after, err := c.cpu()
	return float64(n) / took.Seconds(), (after - before) / time.Duration(n), err
}
