package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

const mapPath = "/api/v1/namespaces/default/configmaps"

func measureRequests(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	alone, err := measureTimes(b.times(500), func(i int) error {
		return c.api.create(c.api.http, mapPath, configMap(fmt.Sprintf("alone-%d", i), 100))
	})
	if err != nil {
		return err
	}
	b.set("create, one client, p50", "%s", millis(percentile(alone, 50)))
	for _, m := range []struct {
		rate, cpu string
		n         int
		f         func(*http.Client, int) error
	}{
		{"creates, 64 clients", "server CPU of a create, 64 clients", 20000, func(h *http.Client, i int) error {
			return c.api.create(h, mapPath, configMap(fmt.Sprintf("many-%d", i), 100))
		}},
		{"gets, 64 clients", "server CPU of a get, 64 clients", 20000, func(h *http.Client, i int) error {
			_, err := c.api.request(h, http.MethodGet, fmt.Sprintf("%s/alone-%d", mapPath, i%3), "", nil)
			return err
		}},
		{"server-side applies, 64 clients", "server CPU of an apply, 64 clients", 10000, func(h *http.Client, i int) error {
			body, err := json.Marshal(object{"apiVersion": "v1", "kind": "ConfigMap", "data": object{"n": fmt.Sprint(i)}})
			if err != nil {
				return err
			}
			path := fmt.Sprintf("%s/applied-%d?fieldManager=bench", mapPath, i%500)
			_, err = c.api.request(h, http.MethodPatch, path, "application/apply-patch+yaml", body)
			return err
		}},
	} {
		rate, cpu, err := c.under(b.times(m.n), m.f)
		if err != nil {
			return err
		}
		b.set(m.rate, "%s /s", number(rate))
		b.set(m.cpu, "%s", millis(cpu))
	}
	return c.api.delete(mapPath)
}
