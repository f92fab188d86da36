package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// measureWatch has a thousand watchers on ten connections, and sends one event at a time.
func measureWatch(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	const watchers, connections = 1000, 10
	const path = "/api/v1/namespaces/default/configmaps?watch=1&labelSelector=bench%3Dwatched&resourceVersion=0"
	clients := make([]*http.Client, connections)
	for i := range clients {
		clients[i] = c.api.client()
		defer clients[i].CloseIdleConnections()
	}
	var ready sync.WaitGroup
	ready.Add(watchers)
	seen, ended := make(chan time.Time, watchers), make(chan error, watchers)
	for i := range watchers {
		go func() {
			once := sync.OnceFunc(ready.Done)
			defer once()
			ended <- c.api.watch(clients[i%connections], path, once, func(e event) bool {
				if e.Type != "BOOKMARK" {
					seen <- time.Now()
				}
				return e.Type != "DELETED"
			})
		}()
	}
	ready.Wait()
	var all []time.Duration
	send := func(f func() error) error {
		begin := time.Now()
		if err := f(); err != nil {
			return err
		}
		var last time.Time
		for range watchers {
			select {
			case at := <-seen:
				last = at
			case <-time.After(30 * time.Second):
				return errors.New("some watchers saw nothing")
			}
		}
		all = append(all, last.Sub(begin))
		return nil
	}
	m := configMap("watched", 100)
	m["metadata"].(object)["labels"] = object{"bench": "watched"}
	if err := send(func() error { return c.api.create(c.api.http, mapPath, m) }); err != nil {
		return err
	}
	for i := range b.times(20) {
		patch := []byte(fmt.Sprintf(`{"data":{"text":"%d"}}`, i))
		if err := send(func() error {
			_, err := c.api.request(c.api.http, http.MethodPatch, mapPath+"/watched", "application/merge-patch+json", patch)
			return err
		}); err != nil {
			return err
		}
	}
	slices.Sort(all)
	b.set("1,000 watchers, one event, time to the last", "%s", millis(percentile(all, 50)))
	return send(func() error { return c.api.delete(mapPath + "/watched") })
}
