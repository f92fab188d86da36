package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const (
	probeTries   = 5 // one bad endpoint of several is not the end
	probeTimeout = 5 * time.Second
	maxDocument  = 16 << 20
)

// probe asks for the discovery document of the group version, which every server of one has, and keeps it.
func (a *Aggregator) probe(ctx context.Context, r *remote) error {
	if r.broken != nil {
		return r.broken
	}
	var body []byte
	var err error
	for range probeTries {
		if body, _, err = a.get(ctx, r, "/"+path(r.gv), ""); err == nil {
			break
		}
		r.close()
		if ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	var l metav1.APIResourceList
	if json.Unmarshal(body, &l) == nil && l.GroupVersion == r.gv.String() {
		r.resources.Store(&l)
	}
	a.document(ctx, r)
	return nil
}

// aggregator is who asks: it may read everything, so that a refusal never looks like a failure.
func aggregator() *request.User {
	return &request.User{Name: "system:kube-aggregator", Groups: []string{"system:masters"}}
}

// get reads a document of the server.
func (a *Aggregator) get(ctx context.Context, r *remote, path, accept string) (body []byte, etag string, err error) {
	host, err := a.Resolver.Resolve(r.spec.Service.Namespace, r.spec.Service.Name, portOf(r.spec.Service))
	if err != nil {
		return nil, "", err
	}
	url := "https://" + host + path
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	identify(req.Header, aggregator())
	if accept == "" {
		accept = "application/json"
	}
	req.Header.Set("Accept", accept)
	resp, err := r.plain.RoundTrip(req)
	if err != nil {
		return nil, "", fmt.Errorf("failing or missing response from %s: Get %q: %w", url, url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, "", fmt.Errorf("failing or missing response from %s: bad status from %s: %d", url, url, resp.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	return body, resp.Header.Get("Etag"), err
}

// document offers the server's OpenAPI v3 document of the group version with this server's own. It is read when somebody asks for it.
func (a *Aggregator) document(ctx context.Context, r *remote) {
	body, _, err := a.get(ctx, r, "/openapi/v3", "")
	if err != nil {
		return // servers need not have one
	}
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if json.Unmarshal(body, &index) != nil || index.Paths[path(r.gv)].URL == "" {
		return
	}
	at := index.Paths[path(r.gv)].URL // with the content's hash
	if (*a.remotes.Load())[r.gv] != r {
		return
	}
	a.Documents.Add(path(r.gv), hash(at), func() ([]byte, error) {
		body, _, err := a.get(context.Background(), r, at, "")
		return body, err
	})
}
