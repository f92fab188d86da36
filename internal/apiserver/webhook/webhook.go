// Package webhook calls webhooks: one HTTPS POST of JSON to a URL or a service
// of the cluster, and its answer.
//
// Admission and conversion say with a Target where to and whom to trust; this
// package must not know what is asked. Read this file first; resolve.go finds
// a service's endpoint.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Target is where a webhook listens and who signed its certificate. Either URL or Service is set.
type Target struct {
	URL      string // https, without query
	Service  *Service
	CABundle []byte // PEM; empty means the system's roots
}

// Service is a port of a Service. Port 0 means 443.
type Service struct {
	Namespace, Name, Path string
	Port                  int32
}

// ForAdmission is the target of a webhook configuration.
func ForAdmission(c *admissionregistrationv1.WebhookClientConfig) Target {
	t := Target{CABundle: c.CABundle}
	if c.URL != nil {
		t.URL = *c.URL
	}
	if s := c.Service; s != nil {
		t.Service = service(s.Namespace, s.Name, s.Path, s.Port)
	}
	return t
}

// ForConversion is the target of a CustomResourceDefinition's conversion; the two APIs say it in the same fields.
func ForConversion(c *apiextensionsv1.WebhookClientConfig) Target {
	return ForAdmission(&admissionregistrationv1.WebhookClientConfig{
		URL: c.URL, Service: (*admissionregistrationv1.ServiceReference)(c.Service), CABundle: c.CABundle,
	})
}

func service(namespace, name string, path *string, port *int32) *Service {
	s := &Service{Namespace: namespace, Name: name}
	if path != nil {
		s.Path = *path
	}
	if port != nil {
		s.Port = *port
	}
	return s
}

// address is the URL as people read it: services by name.
func (t Target) address() (*url.URL, error) {
	if s := t.Service; s != nil {
		port := s.Port
		if port == 0 {
			port = 443
		}
		return &url.URL{Scheme: "https", Host: net.JoinHostPort(s.host(), strconv.Itoa(int(port))), Path: "/" + strings.TrimPrefix(s.Path, "/")}, nil
	}
	u, err := url.Parse(t.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the webhook's url: %w", err)
	case u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("the webhook's url %q is not https://host/path", t.URL)
	}
	return u, nil
}

// host is the name that a service's certificate must bear.
func (s *Service) host() string { return s.Name + "." + s.Namespace + ".svc" }

// Resolver finds who answers for a port of a service: "host:port".
type Resolver interface {
	Resolve(namespace, name string, port int32) (string, error)
}

// Caller calls webhooks. It keeps connections open and is safe for concurrent use.
type Caller struct {
	resolver Resolver
	clients  clients
}

// New makes a caller; no I/O.
func New(r Resolver) *Caller { return &Caller{resolver: r} }

// maxAnswer bounds an answer: a conversion answers with as many objects as it was asked for.
const maxAnswer = 64 << 20

// StatusError is an answer that is not a success.
type StatusError struct {
	Code int
	Text string // what the webhook said, shortened
}

func (e *StatusError) Error() string {
	if e.Code >= 300 && e.Code < 400 {
		return fmt.Sprintf("the webhook answered with a redirect (%d), which is not followed", e.Code)
	}
	text := http.StatusText(e.Code)
	if e.Text != "" {
		text = e.Text
	}
	return fmt.Sprintf("the webhook answered %d: %s", e.Code, text)
}

// Call posts in as JSON and reads the answer into out. After timeout it is given up; the webhook is told of it
// in the query. The error of a call that got no answer is a *url.Error, and says Timeout.
func (c *Caller) Call(ctx context.Context, t Target, timeout time.Duration, in, out any) error {
	u, err := t.address()
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the webhook's request: %w", err)
	}
	if u.RawQuery == "" {
		u.RawQuery = url.Values{"timeout": {timeout.String()}}.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := c.post(ctx, t, u, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the webhook's answer: %w", err)
	}
	return nil
}

func (c *Caller) post(ctx context.Context, t Target, u *url.URL, body []byte) ([]byte, error) {
	to := *u
	if s := t.Service; s != nil {
		port := s.Port
		if port == 0 {
			port = 443
		}
		// The address, not the name, is what connections are kept by: one to an endpoint that is gone is not used again.
		host, err := c.resolver.Resolve(s.Namespace, s.Name, port)
		if err != nil {
			return nil, &url.Error{Op: "Post", URL: u.String(), Err: err}
		}
		to.Host = host
	}
	client, err := c.clients.get(t)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host = u.Host
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, */*")
	req.Header.Set("User-Agent", "kube-apiserver-admission")
	// Never sent. It lets the transport try again when the connection it had kept was closed by the other end.
	req.Header["X-Idempotency-Key"] = nil
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			ue.URL = u.String()
		}
		return nil, err
	}
	defer resp.Body.Close()
	return answer(resp, u)
}

func answer(resp *http.Response, u *url.URL) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &url.Error{Op: "Post", URL: u.String(), Err: err}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		const most = 1024
		return nil, &StatusError{resp.StatusCode, strings.TrimSpace(string(b[:min(len(b), most)]))}
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("the webhook's answer has more than %d bytes", maxAnswer)
	}
	return b, nil
}
