// Package remote talks to registries: manifests and blobs in, manifests and blobs out,
// through mirrors, with the caller's credentials.
//
// It must not know the store. The protocol is go-containerregistry's; here is who to ask,
// as whom, and over what transport (transport.go).
package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Auth is one credential to try. An empty Auth is anonymous.
type Auth struct{ Username, Password, IdentityToken, RegistryToken, Server string }

// Authorization is authn.Authenticator.
func (a Auth) Authorization() (*authn.AuthConfig, error) {
	return &authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}, nil
}

func (a Auth) anonymous() bool {
	return a.Username == "" && a.Password == "" && a.IdentityToken == "" && a.RegistryToken == ""
}

func (a Auth) authenticator() authn.Authenticator {
	if a.anonymous() {
		return authn.Anonymous
	}
	return a
}

// Client is safe for concurrent use.
type Client struct {
	reg        Registries
	mu         sync.Mutex
	transports map[string]*transport
}

// New makes a client.
func New(r Registries) *Client { return &Client{reg: r, transports: map[string]*transport{}} }

// Close closes idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.base.CloseIdleConnections()
	}
}

// Repo is one repository as a caller may see it: the places to ask, in order.
type Repo struct {
	name   string
	routes []route

	mu   sync.Mutex
	best *route // the one that answered last
}

// route is one place with one credential.
type route struct {
	repo   name.Repository
	puller *remote.Puller
	pusher *remote.Pusher
}

// Repo prepares to reach registry/repository with the credentials, first one first; none is anonymous. A mirror
// gets a credential only when it names the mirror as its server.
func (c *Client) Repo(registry, repository string, auths []Auth) (*Repo, error) {
	r := &Repo{name: registry + "/" + repository}
	for _, m := range c.reg.Mirrors[registry] {
		if err := c.add(r, mirrorHost(m), repository, mirrorAuths(auths, mirrorHost(m)), strings.HasPrefix(m, "http://")); err != nil {
			return nil, err
		}
	}
	if len(auths) == 0 {
		auths = []Auth{{}}
	}
	return r, c.add(r, registry, repository, auths, false)
}

func mirrorHost(m string) string {
	if u, err := url.Parse(m); err == nil && u.Host != "" {
		return u.Host
	}
	return strings.TrimSuffix(m, "/")
}

func mirrorAuths(auths []Auth, host string) []Auth {
	var l []Auth
	for _, a := range auths {
		if a.Server != "" && mirrorHost(a.Server) == host {
			l = append(l, a)
		}
	}
	return append(l, Auth{})
}

func (c *Client) add(r *Repo, host, repository string, auths []Auth, plain bool) error {
	t, err := c.transport(host, plain)
	if err != nil {
		return err
	}
	opts := []name.Option{name.WeakValidation}
	if t.plainAllowed {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(host+"/"+repository, opts...)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	for _, a := range auths {
		o := []remote.Option{remote.WithAuth(a.authenticator()), remote.WithTransport(t), remote.WithUserAgent("dhow")}
		puller, err := remote.NewPuller(o...)
		if err != nil {
			return err
		}
		pusher, err := remote.NewPusher(o...)
		if err != nil {
			return err
		}
		r.routes = append(r.routes, route{repo, puller, pusher})
	}
	return nil
}

// Manifest fetches a manifest or index by tag or digest, verified.
func (r *Repo) Manifest(ctx context.Context, tagOrDigest string) (v1.Descriptor, []byte, error) {
	var d *remote.Descriptor
	err := r.try(func(rt *route) error {
		ref, err := reference(rt.repo, tagOrDigest)
		if err != nil {
			return err
		}
		d, err = rt.puller.Get(ctx, ref)
		return err
	})
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	return d.Descriptor, d.Manifest, nil
}

func reference(repo name.Repository, s string) (name.Reference, error) {
	if strings.Contains(s, ":") {
		if _, err := v1.NewHash(s); err != nil {
			return nil, fault.As(fault.Invalid, err)
		}
		return repo.Digest(s), nil
	}
	return repo.Tag(s), nil
}

// Blob opens a blob; its content is verified by the time it is at its end.
func (r *Repo) Blob(ctx context.Context, d v1.Hash) (io.ReadCloser, error) {
	var rc io.ReadCloser
	err := r.try(func(rt *route) error {
		l, err := rt.puller.Layer(ctx, rt.repo.Digest(d.String()))
		if err != nil {
			return err
		}
		rc, err = l.Compressed()
		return err
	})
	return rc, err
}

// try asks route after route, beginning with the one that answered before. What counts at the end is the last
// route's error: it is the registry itself.
func (r *Repo) try(do func(*route) error) error {
	r.mu.Lock()
	order := make([]*route, 0, len(r.routes)+1)
	if r.best != nil {
		order = append(order, r.best)
	}
	r.mu.Unlock()
	for i := range r.routes {
		if !slices.Contains(order, &r.routes[i]) {
			order = append(order, &r.routes[i])
		}
	}
	var denied, err error
	for _, rt := range order {
		if err = classify(r.name, do(rt)); err == nil {
			r.mu.Lock()
			r.best = rt
			r.mu.Unlock()
			return nil
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if fault.Is(err, fault.Denied) {
			denied = err
		}
	}
	if denied != nil && fault.Is(err, fault.NotFound) {
		return denied
	}
	return err
}

// origin is the registry itself, for pushes.
func (r *Repo) origins() []route {
	last := r.routes[len(r.routes)-1].repo
	var l []route
	for _, rt := range r.routes {
		if rt.repo == last {
			l = append(l, rt)
		}
	}
	return l
}

// Upload sends a blob unless the registry has it.
func (r *Repo) Upload(ctx context.Context, l v1.Layer) error {
	return r.push(func(rt *route) error { return rt.pusher.Upload(ctx, rt.repo, l) })
}

// PutManifest stores raw under a tag or digest. All it names must be there.
func (r *Repo) PutManifest(ctx context.Context, tagOrDigest string, mediaType types.MediaType, raw []byte) error {
	return r.push(func(rt *route) error {
		ref, err := reference(rt.repo, tagOrDigest)
		if err != nil {
			return err
		}
		return rt.pusher.Put(ctx, ref, manifest{raw, mediaType})
	})
}

func (r *Repo) push(do func(*route) error) error {
	var err error
	for _, rt := range r.origins() {
		if err = classify(r.name, do(&rt)); err == nil || !fault.Is(err, fault.Denied) {
			return err
		}
	}
	return err
}

// manifest is remote.Taggable.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
}

func (m manifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// Check asks a registry whether it takes a credential. Denied when not.
func (c *Client) Check(ctx context.Context, registry string, a Auth) error {
	t, err := c.transport(registry, false)
	if err != nil {
		return err
	}
	opts := []name.Option{name.WeakValidation}
	if t.plainAllowed {
		opts = append(opts, name.Insecure)
	}
	reg, err := name.NewRegistry(registry, opts...)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	rt, err := ggcr.NewWithContext(ctx, reg, a.authenticator(), t, nil)
	if err != nil {
		return classify(registry, err)
	}
	scheme := "https"
	if ping, err := ggcr.Ping(ctx, reg, t); err == nil && ping.Insecure {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+reg.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return classify(registry, err)
	}
	defer res.Body.Close()
	return classify(registry, ggcr.CheckError(res, http.StatusOK))
}
