// Package remote is client.Conn over HTTPS: protobuf where the kind has it, JSON otherwise.
//
// It knows nothing of how the server works beyond the public API. Read remote.go, then codec.go.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// answerMax bounds what is read of one answer that is no watch.
const answerMax = 1 << 30

// Conn is a connection to a server. Use New.
type Conn struct {
	registry *api.Registry
	config   Config
	http     *http.Client
}

var _ client.Conn = (*Conn)(nil)

// New makes a connection; nothing is sent yet.
func New(r *api.Registry, c Config) (*Conn, error) {
	t, err := c.transport()
	if err != nil {
		return nil, err
	}
	// A redirect would carry credentials to somebody else.
	never := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Conn{r, c, &http.Client{Transport: t, CheckRedirect: never}}, nil
}

// Close closes idle connections.
func (c *Conn) Close() { c.http.CloseIdleConnections() }

// Registry is client.Conn's.
func (c *Conn) Registry() *api.Registry { return c.registry }

type call struct {
	verb, namespace, name, sub string
	kind                       *api.Kind
	query                      url.Values
	contentType                string
	body                       []byte
}

func (c *Conn) url(r call) string {
	v := r.kind.Hub()
	parts := []string{"/apis", v.Group, v.Version}
	if v.Group == "" {
		parts = []string{"/api", v.Version}
	}
	if r.kind.Namespaced && r.namespace != "" {
		parts = append(parts, "namespaces", url.PathEscape(r.namespace))
	}
	parts = append(parts, r.kind.Resource)
	if r.name != "" {
		parts = append(parts, url.PathEscape(r.name))
	}
	if r.sub != "" {
		parts = append(parts, r.sub)
	}
	u := strings.TrimSuffix(c.config.Server, "/") + path.Join(parts...)
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	return u
}

// send does a call; the answer is one of success.
func (c *Conn) send(ctx context.Context, r call, accept string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, r.verb, c.url(r), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Accept", accept)
	if r.contentType != "" {
		q.Header.Set("Content-Type", r.contentType)
	}
	if c.config.UserAgent != "" {
		q.Header.Set("User-Agent", c.config.UserAgent)
	}
	token := c.config.Token
	if c.config.TokenFile != "" {
		b, err := os.ReadFile(c.config.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := c.http.Do(q)
	if err != nil {
		return nil, err
	}
	if a.StatusCode >= 200 && a.StatusCode < 300 {
		return a, nil
	}
	defer a.Body.Close()
	return nil, failure(r, a)
}

// failure is the error that an answer carries.
func failure(r call, a *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err != nil {
		return err
	}
	if s, err := decode(a.Header.Get("Content-Type"), body, &metav1.Status{}); err == nil && s != nil {
		return apierrors.FromObject(s)
	}
	return apierrors.NewGenericServerResponse(a.StatusCode, r.verb, r.kind.GroupResource(), r.name, strings.TrimSpace(string(body)), 0, true)
}

func (c *Conn) do(ctx context.Context, r call, into runtime.Object) error {
	a, err := c.send(ctx, r, accept)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, answerMax))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if into == nil {
		return nil
	}
	s, err := decode(a.Header.Get("Content-Type"), body, into)
	if err == nil && s != nil && s.Status == metav1.StatusFailure {
		return apierrors.FromObject(s)
	}
	return err
}

func (c *Conn) object(ctx context.Context, r call) (api.Object, error) {
	o := r.kind.Hub().New()
	if err := c.do(ctx, r, o); err != nil {
		return nil, err
	}
	return o, nil
}

// Get is client.Conn's.
func (c *Conn) Get(ctx context.Context, k *api.Kind, namespace, name string, o metav1.GetOptions) (api.Object, error) {
	q := url.Values{}
	set(q, "resourceVersion", o.ResourceVersion)
	return c.object(ctx, call{verb: http.MethodGet, kind: k, namespace: namespace, name: name, query: q})
}

// List is client.Conn's.
func (c *Conn) List(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.List, error) {
	l := k.Hub().NewList()
	if err := c.do(ctx, call{verb: http.MethodGet, kind: k, namespace: namespace, query: listQuery(o)}, l); err != nil {
		return client.List{}, err
	}
	m, err := meta.ListAccessor(l)
	if err != nil {
		return client.List{}, err
	}
	out := client.List{ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue()}
	err = meta.EachListItem(l, func(o runtime.Object) error {
		out.Items = append(out.Items, o.(api.Object))
		return nil
	})
	return out, err
}

// Create is client.Conn's.
func (c *Conn) Create(ctx context.Context, k *api.Kind, obj api.Object, o metav1.CreateOptions) (api.Object, error) {
	t, body, err := encode(k.Hub(), k.Kind, obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", k.Kind, err)
	}
	return c.object(ctx, call{verb: http.MethodPost, kind: k, namespace: obj.GetNamespace(), contentType: t, body: body, query: writeQuery(o.DryRun, o.FieldManager, o.FieldValidation)})
}

// Update is client.Conn's.
func (c *Conn) Update(ctx context.Context, k *api.Kind, obj api.Object, subresource string, o metav1.UpdateOptions) (api.Object, error) {
	t, body, err := encode(k.Hub(), k.Kind, obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", k.Kind, err)
	}
	return c.object(ctx, call{verb: http.MethodPut, kind: k, namespace: obj.GetNamespace(), name: obj.GetName(), sub: subresource, contentType: t, body: body, query: writeQuery(o.DryRun, o.FieldManager, o.FieldValidation)})
}

// Patch is client.Conn's.
func (c *Conn) Patch(ctx context.Context, k *api.Kind, namespace, name, subresource string, t types.PatchType, data []byte, o metav1.PatchOptions) (api.Object, error) {
	q := writeQuery(o.DryRun, o.FieldManager, o.FieldValidation)
	if o.Force != nil {
		set(q, "force", fmt.Sprint(*o.Force))
	}
	return c.object(ctx, call{verb: http.MethodPatch, kind: k, namespace: namespace, name: name, sub: subresource, contentType: string(t), body: data, query: q})
}

// Delete is client.Conn's.
func (c *Conn) Delete(ctx context.Context, k *api.Kind, namespace, name string, o metav1.DeleteOptions) error {
	body, err := deleteBody(o)
	if err != nil {
		return err
	}
	return c.do(ctx, call{verb: http.MethodDelete, kind: k, namespace: namespace, name: name, contentType: jsonType, body: body}, nil)
}

// DeleteCollection is client.Conn's.
func (c *Conn) DeleteCollection(ctx context.Context, k *api.Kind, namespace string, d metav1.DeleteOptions, o metav1.ListOptions) error {
	body, err := deleteBody(d)
	if err != nil {
		return err
	}
	return c.do(ctx, call{verb: http.MethodDelete, kind: k, namespace: namespace, query: listQuery(o), contentType: jsonType, body: body}, nil)
}

func deleteBody(o metav1.DeleteOptions) ([]byte, error) {
	o.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}
	return json.Marshal(o)
}

// Post is client.Conn's. The body's kind is taken from the subresource's description when it does not say.
func (c *Conn) Post(ctx context.Context, k *api.Kind, namespace, name, subresource string, body runtime.Object) (runtime.Object, error) {
	send := body.DeepCopyObject()
	if send.GetObjectKind().GroupVersionKind().Empty() {
		for _, s := range k.Subresources {
			if s.Name == subresource && s.Body != nil {
				send.GetObjectKind().SetGroupVersionKind(*s.Body)
			}
		}
	}
	doc, err := json.Marshal(send)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", subresource, err)
	}
	a, err := c.send(ctx, call{verb: http.MethodPost, kind: k, namespace: namespace, name: name, sub: subresource, contentType: jsonType, body: doc}, jsonType)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	got, err := io.ReadAll(io.LimitReader(a.Body, answerMax))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	into := reflect.New(reflect.TypeOf(body).Elem()).Interface().(runtime.Object)
	s, err := decode(jsonType, got, into)
	if err != nil || s == nil {
		return into, err
	}
	return s, nil
}
