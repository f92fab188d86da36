package admission

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// allocator gives Services their addresses and node ports. What is taken is what stored Services hold
// (it follows their changes) and what writes under way have reserved; a reservation ends with the
// write: Rollback frees it, the commit makes it lasting. A deletion or an update frees when it is committed.
type allocator struct {
	ranges []*ipRange // the default family first
	ports  PortRange
	nodes  *pool // node ports
	seed   sync.Once
	fill   func()
}

func newAllocator(r request.Reader, o Options) *allocator {
	z := &allocator{ports: o.NodePorts.orDefault(), fill: func() {}}
	z.nodes = z.ports.pool()
	for _, p := range o.ServiceRanges {
		z.ranges = append(z.ranges, newIPRange(p))
	}
	if k := r.Registry().Resource(schema.GroupResource{Resource: "services"}); k != nil {
		r.OnChange(k, z.changed)
		z.fill = func() {
			r.Each(k, "", func(o api.Object) bool {
				z.changed(nil, o)
				return true
			})
		}
	}
	return z
}

// changed takes in one committed change; applying one twice is harmless.
func (z *allocator) changed(old, obj api.Object) {
	if s, ok := obj.(*corev1.Service); ok {
		z.each(s, func(p *pool, n uint64) { p.put(n, owner(s)) })
	}
	if s, ok := old.(*corev1.Service); ok {
		now, _ := obj.(*corev1.Service)
		z.each(s, func(p *pool, n uint64) {
			kept := false
			if now != nil {
				z.each(now, func(p2 *pool, n2 uint64) { kept = kept || p == p2 && n == n2 })
			}
			if !kept {
				p.free(n, owner(s))
			}
		})
	}
}

func owner(s *corev1.Service) string { return s.Namespace + "/" + s.Name }

// each calls f for every number that a service holds.
func (z *allocator) each(s *corev1.Service, f func(*pool, uint64)) {
	for _, ip := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			for _, r := range z.ranges {
				if n, ok := r.index(a); ok {
					f(r.pool, n)
				}
			}
		}
	}
	for i := range s.Spec.Ports {
		if n, ok := z.port(s.Spec.Ports[i].NodePort); ok {
			f(z.nodes, n)
		}
	}
	if n, ok := z.port(s.Spec.HealthCheckNodePort); ok {
		f(z.nodes, n)
	}
}

func (z *allocator) port(p int32) (uint64, bool) {
	if p < z.ports.First || p > z.ports.Last {
		return 0, false
	}
	return uint64(p - z.ports.First), true
}

// admit completes a service and reserves what it needs.
func (z *allocator) admit(_ context.Context, w *request.Write) error {
	if !on(w, "", "services", self, request.Create, request.Update) || len(z.ranges) == 0 {
		return nil
	}
	s, ok := w.Object.(*corev1.Service)
	if !ok {
		return fmt.Errorf("allocate for service: %w", errWrongType)
	}
	z.seed.Do(z.fill)
	old, _ := w.Old.(*corev1.Service)
	carryOver(s, old)
	if errs := z.families(s, old); len(errs) > 0 {
		return invalid(s, errs...)
	}
	t := &taking{z: z, w: w, owner: owner(s)}
	if s.Name == "" { // the server has not made the name yet: nobody else has this owner
		t.owner = fmt.Sprintf("%s/?%p", s.Namespace, s)
	}
	err := t.addresses(s)
	if err == nil {
		err = t.nodePorts(s)
	}
	if err != nil {
		t.undo()
		return err
	}
	if len(t.fresh) > 0 {
		w.Rollback = append(w.Rollback, t.undo)
	}
	return nil
}

func invalid(s *corev1.Service, errs ...*field.Error) error {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, s.Name, errs)
}

// taking is what one write has reserved.
type taking struct {
	z     *allocator
	w     *request.Write
	owner string
	fresh []func()
}

func (t *taking) undo() {
	for _, f := range t.fresh {
		f()
	}
	t.fresh = nil
}

func (t *taking) take(p *pool, n uint64) error {
	fresh, err := p.take(n, t.owner, t.w.DryRun)
	if fresh && !t.w.DryRun {
		t.fresh = append(t.fresh, func() { p.free(n, t.owner) })
	}
	return err
}

func (t *taking) takeAny(p *pool) (uint64, error) {
	n, err := p.takeAny(t.owner, t.w.DryRun)
	if err == nil && !t.w.DryRun {
		t.fresh = append(t.fresh, func() { p.free(n, t.owner) })
	}
	return n, err
}

func (t *taking) addresses(s *corev1.Service) error {
	if !needsClusterIP(s) || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	ips := make([]string, len(s.Spec.IPFamilies))
	copy(ips, s.Spec.ClusterIPs)
	for i, family := range s.Spec.IPFamilies {
		r := t.z.family(family)
		if r == nil {
			continue // families has refused it, or it is an old service of a range that is gone
		}
		if ips[i] == "" {
			n, err := t.takeAny(r.pool)
			if err != nil {
				return apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP: %w", err))
			}
			ips[i] = r.addr(n).String()
			continue
		}
		a, err := netip.ParseAddr(ips[i])
		if err != nil {
			continue // validation says so
		}
		why := fmt.Sprintf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", a, r.prefix)
		n, ok := r.index(a)
		if ok {
			if err = t.take(r.pool, n); err == nil {
				continue
			}
			why = "provided IP is already allocated"
		} else if old, is := t.w.Old.(*corev1.Service); is && slices.Contains(old.Spec.ClusterIPs, ips[i]) {
			continue // it had it when the range was another
		}
		return invalid(s, field.Invalid(field.NewPath("spec", "clusterIPs"), s.Spec.ClusterIPs, fmt.Sprintf("failed to allocate IP %s: %s", a, why)))
	}
	s.Spec.ClusterIPs = ips
	if len(ips) > 0 {
		s.Spec.ClusterIP = ips[0]
	}
	return nil
}

func (t *taking) nodePorts(s *corev1.Service) error {
	if needsNodePort(s) {
		auto := s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.AllocateLoadBalancerNodePorts == nil || *s.Spec.AllocateLoadBalancerNodePorts
		given := map[int32]int32{} // by service port: the protocols of one port share a node port
		for i := range s.Spec.Ports {
			if p := &s.Spec.Ports[i]; p.NodePort != 0 {
				given[p.Port] = p.NodePort
				if err := t.nodePort(s, p.NodePort, field.NewPath("spec", "ports").Index(i).Child("nodePort")); err != nil {
					return err
				}
			}
		}
		for i := range s.Spec.Ports {
			p := &s.Spec.Ports[i]
			if p.NodePort != 0 || !auto {
				continue
			}
			if given[p.Port] == 0 {
				n, err := t.takeAny(t.z.nodes)
				if err != nil {
					return apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err))
				}
				given[p.Port] = t.z.ports.First + int32(n)
			}
			p.NodePort = given[p.Port]
		}
	}
	if !needsHealthCheck(s) {
		return nil
	}
	if s.Spec.HealthCheckNodePort != 0 {
		return t.nodePort(s, s.Spec.HealthCheckNodePort, field.NewPath("spec", "healthCheckNodePort"))
	}
	n, err := t.takeAny(t.z.nodes)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("failed to allocate a HealthCheck NodePort: %w", err))
	}
	s.Spec.HealthCheckNodePort = t.z.ports.First + int32(n)
	return nil
}

func (t *taking) nodePort(s *corev1.Service, port int32, path *field.Path) error {
	n, ok := t.z.port(port)
	if !ok {
		return invalid(s, field.Invalid(path, port, fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", t.z.ports.First, t.z.ports.Last)))
	}
	if err := t.take(t.z.nodes, n); errors.Is(err, errTaken) {
		return invalid(s, field.Invalid(path, port, "provided port is already allocated"))
	}
	return nil
}

func (z *allocator) family(f corev1.IPFamily) *ipRange {
	for _, r := range z.ranges {
		if r.family == f {
			return r
		}
	}
	return nil
}
