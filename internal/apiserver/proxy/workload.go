package proxy

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver"
)

// insecure reaches pods: they have no certificates that could be verified.
func insecure() http.RoundTripper {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true,
	}
}

// splitName reads [scheme:]name[:port].
func splitName(s string) (scheme, name, port string, err error) {
	parts := strings.Split(s, ":")
	switch len(parts) {
	case 1:
		return "", parts[0], "", nil
	case 2:
		return "", parts[0], parts[1], nil
	case 3:
		if parts[0] == "" || parts[0] == "http" || parts[0] == "https" {
			return parts[0], parts[1], parts[2], nil
		}
	}
	return "", "", "", apierrors.NewBadRequest(fmt.Sprintf("invalid proxy request %q: want [scheme:]name[:port]", s))
}

func withSlash(p string) string {
	if !strings.HasPrefix(p, "/") {
		return "/" + p
	}
	return p
}

func workloadURL(scheme, ip string, port int32, c *apiserver.Connection, r *http.Request) (*target, error) {
	if scheme == "" {
		scheme = "http"
	}
	addr := net.ParseIP(ip)
	if addr == nil || !addr.IsGlobalUnicast() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("address %q cannot be proxied to", ip))
	}
	return &target{relocate: true, url: &url.URL{
		Scheme: scheme, Host: net.JoinHostPort(ip, strconv.Itoa(int(port))), Path: withSlash(c.Path), RawQuery: r.URL.RawQuery,
	}}, nil
}

func podTarget(r *http.Request, c *apiserver.Connection) (*target, error) {
	scheme, name, port, err := splitName(c.Name)
	if err != nil {
		return nil, err
	}
	at := *c
	at.Name = name
	pod, err := findPod(&at)
	if err != nil {
		return nil, err
	}
	n, err := podPort(pod, port)
	if err != nil {
		return nil, err
	}
	return workloadURL(scheme, pod.Status.PodIP, n, c, r)
}

// podPort: a number, a name, or the first port that any container declares.
func podPort(pod *corev1.Pod, port string) (int32, error) {
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return int32(n), nil
	}
	for _, ct := range pod.Spec.Containers {
		for _, p := range ct.Ports {
			if port == "" || p.Name == port {
				return p.ContainerPort, nil
			}
		}
	}
	if port == "" {
		return 80, nil
	}
	return 0, apierrors.NewBadRequest(fmt.Sprintf("pod %q has no port %q", pod.Name, port))
}

type backend struct {
	ip   string
	port int32
}

// serviceTarget picks a ready endpoint of the service's port at random.
func serviceTarget(r *http.Request, c *apiserver.Connection) (*target, error) {
	scheme, name, port, err := splitName(c.Name)
	if err != nil {
		return nil, err
	}
	gr := schema.GroupResource{Resource: "services"}
	obj, ok := c.Reader.Get(c.Reader.Registry().Resource(gr), c.Namespace, name)
	if !ok {
		return nil, apierrors.NewNotFound(gr, name)
	}
	sp, err := servicePort(obj.(*corev1.Service), port)
	if err != nil {
		return nil, err
	}
	var ready []backend
	slices := c.Reader.Registry().Resource(schema.GroupResource{Group: discoveryv1.GroupName, Resource: "endpointslices"})
	c.Reader.Each(slices, c.Namespace, func(o api.Object) bool {
		if es := o.(*discoveryv1.EndpointSlice); es.Labels[discoveryv1.LabelServiceName] == name {
			ready = appendReady(ready, es, sp)
		}
		return true
	})
	if len(ready) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	}
	b := ready[rand.IntN(len(ready))]
	return workloadURL(scheme, b.ip, b.port, c, r)
}

// servicePort is the name of the port asked for by name or number; the only one when not asked.
func servicePort(svc *corev1.Service, port string) (string, error) {
	for _, p := range svc.Spec.Ports {
		if port == "" && len(svc.Spec.Ports) == 1 || p.Name == port || strconv.Itoa(int(p.Port)) == port {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %q found for service %q", port, svc.Name))
}

func appendReady(out []backend, es *discoveryv1.EndpointSlice, port string) []backend {
	for _, p := range es.Ports {
		if p.Port == nil || p.Name != nil && *p.Name != port || p.Name == nil && port != "" {
			continue
		}
		for _, e := range es.Endpoints {
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				out = append(out, backend{e.Addresses[0], *p.Port})
			}
		}
	}
	return out
}
