package node

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/env"
	"github.com/dhow-project/dhow/internal/node/objects"
	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/probe"
	"github.com/dhow-project/dhow/internal/node/status"
	"github.com/dhow-project/dhow/internal/node/volume"
	"github.com/dhow-project/dhow/internal/x/run"
)

// parts are what pods are run with; they live as long as one Run.
type parts struct {
	objects  *objects.Set
	volumes  *volume.Set
	users    *userRanges
	events   *recorder
	checker  *probe.Checker
	services client.Cache[*corev1.Service]
}

// assemble makes the parts and what pod workers need of them.
func (n *Node) assemble(ctx context.Context, g *run.Group) (*parts, pod.Deps) {
	conn := n.cfg.Conn
	pt := &parts{users: newUserRanges(), events: newRecorder(ctx, g, n)}
	pt.objects = objects.New(ctx, &n.pods.wg, conn, n.log)
	images := newImages(n, pt.objects)
	pt.volumes = volume.New(volume.Config{
		Dir: filepath.Join(n.cfg.Dir, "pods"), Source: pt.objects, NoMounts: n.cfg.NoMounts, Log: n.log,
		Place: func(p *corev1.Pod) env.Place { return n.place(p, nil) },
		Token: n.token, Claim: n.claim, Image: images.volume, Storage: n.cfg.Storage,
	})
	pt.checker = &probe.Checker{Exec: n.cfg.Engine.Exec}
	check := func(ctx context.Context, t *pod.ProbeTarget, p *corev1.Probe) (bool, string) {
		return pt.checker.Check(ctx, probe.Target{Spec: t.Spec, ID: t.ID, IP: t.IP}, &p.ProbeHandler)
	}
	return pt, pod.Deps{
		Engine:  n.cfg.Engine,
		Images:  images,
		Volumes: pt.volumes,
		Build: &builder{n: n, volumes: pt.volumes, source: pt.objects, users: pt.users, hostDNS: n.hostDNS(),
			services: func() []*corev1.Service { return known(ctx, &pt.services) }},
		Hooks:  probe.Hooks{Checker: pt.checker},
		Probes: probe.New(ctx, &n.pods.wg, pt.events, check),
		API:    newStatusAPI(conn),
		Events: pt.events,
		Host:   n.host,
		Own:    n.pods.own,
		Log:    n.log,
	}
}

// known waits for the first list of services: a container that starts without the API's address would never learn it.
func known(ctx context.Context, c *client.Cache[*corev1.Service]) []*corev1.Service {
	select {
	case <-c.Synced():
	case <-ctx.Done():
	}
	return c.List()
}

func (n *Node) host() status.Host {
	h := status.Host{Name: n.cfg.Name}
	for _, a := range n.cfg.Addresses {
		h.IPs = append(h.IPs, a.String())
	}
	return h
}

// place is where a pod is, for the downward API.
func (n *Node) place(p *corev1.Pod, s *engine.Sandbox) env.Place {
	at := env.Place{Node: n.cfg.Name, HostIPs: n.host().IPs, Allocatable: n.self.allocatable()}
	switch {
	case p.Spec.HostNetwork:
		at.PodIPs = at.HostIPs
	case s != nil:
		at.PodIPs = s.IPs
	default:
		for _, ip := range p.Status.PodIPs {
			at.PodIPs = append(at.PodIPs, ip.IP)
		}
	}
	return at
}

func (n *Node) memory() int64 {
	q := n.self.capacity()[corev1.ResourceMemory]
	return q.Value()
}

// runtime is the engine runtime that a RuntimeClass names in its handler.
func (n *Node) runtime(ctx context.Context, class string) (string, error) {
	conn := n.cfg.Conn
	k := conn.Registry().Kind(schema.GroupKind{Group: nodev1.GroupName, Kind: "RuntimeClass"})
	if k == nil {
		return "", fmt.Errorf("runtime class %q: the API does not serve runtime classes", class)
	}
	o, err := conn.Get(ctx, k, "", class, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("runtime class %q: %w", class, err)
	}
	rc, ok := o.(*nodev1.RuntimeClass)
	if !ok {
		return "", fmt.Errorf("runtime class %q: the API answered with a %T", class, o)
	}
	info, err := n.cfg.Engine.Info(ctx)
	if err != nil {
		return "", err
	}
	if !slices.Contains(info.Runtimes, rc.Handler) {
		return "", fmt.Errorf("runtime class %q: the engine has no runtime %q; it has %q", class, rc.Handler, info.Runtimes)
	}
	return rc.Handler, nil
}

// token asks the API for a service account token that dies with the pod.
func (n *Node) token(ctx context.Context, p *corev1.Pod, audience string, seconds int64) (string, time.Time, error) {
	req := &authenticationv1.TokenRequest{
		ObjectMeta: metav1.ObjectMeta{Name: p.Spec.ServiceAccountName, Namespace: p.Namespace},
		Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: &seconds,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
		},
	}
	if audience != "" {
		req.Spec.Audiences = []string{audience}
	}
	out, err := client.For[*corev1.ServiceAccount](n.cfg.Conn).Post(ctx, p.Namespace, p.Spec.ServiceAccountName, "token", req)
	if err != nil {
		return "", time.Time{}, err
	}
	t, ok := out.(*authenticationv1.TokenRequest)
	if !ok {
		return "", time.Time{}, fmt.Errorf("the API answered a token request with a %T", out)
	}
	expires := t.Status.ExpirationTimestamp.Time
	if expires.IsZero() {
		expires = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	return t.Status.Token, expires, nil
}
