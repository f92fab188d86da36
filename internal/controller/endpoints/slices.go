package endpoints

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

const (
	perSlice       = 100
	managedBy      = "endpointslice-controller.k8s.io"
	mirrorManager  = "endpointslicemirroring-controller.k8s.io"
	headlessLabel  = corev1.IsHeadlessService
	skipMirroring  = discoveryv1.LabelSkipMirror
	legacyManager  = "endpoint-controller"
	legacyManaged  = "endpoints.kubernetes.io/managed-by"
	overCapacity   = corev1.EndpointsOverCapacity
	legacyCapacity = 1000
)

// slicesPlan is what to do to a service's slices.
type slicesPlan struct {
	create, update, delete []*discoveryv1.EndpointSlice
}

// group is all endpoints with one family and one list of ports: what may share a slice.
type group struct {
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// meta is what every slice of a service carries.
type meta struct {
	prefix, namespace string
	labels            map[string]string
	owner             metav1.OwnerReference
}

func groupUp(family discoveryv1.AddressType, all []member) []*group {
	byPorts := map[string]*group{}
	var out []*group
	for _, m := range all {
		k := portsKey(m.ports)
		g := byPorts[k]
		if g == nil {
			g = &group{family: family, ports: m.ports}
			byPorts[k] = g
			out = append(out, g)
		}
		g.endpoints = append(g.endpoints, m.endpoint)
	}
	if len(out) == 0 { // one empty slice says that the service was looked at
		out = append(out, &group{family: family, ports: []discoveryv1.EndpointPort{}})
	}
	return out
}

// planSlices keeps endpoints in the slices they are in, fills slices up, and makes or deletes as few as possible.
func planSlices(m meta, groups []*group, have []*discoveryv1.EndpointSlice) slicesPlan {
	slices.SortFunc(have, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	var p slicesPlan
	used := map[*discoveryv1.EndpointSlice]bool{}
	for _, g := range groups {
		p.group(m, g, have, used)
	}
	for _, s := range have {
		if !used[s] && s.DeletionTimestamp == nil {
			p.delete = append(p.delete, s)
		}
	}
	return p
}

func (p *slicesPlan) group(m meta, g *group, have []*discoveryv1.EndpointSlice, used map[*discoveryv1.EndpointSlice]bool) {
	want := map[string]discoveryv1.Endpoint{}
	for _, e := range g.endpoints {
		want[identity(e)] = e
	}
	key := portsKey(g.ports)
	kept := map[*discoveryv1.EndpointSlice][]discoveryv1.Endpoint{}
	var fitting []*discoveryv1.EndpointSlice
	for _, s := range have {
		if used[s] || s.AddressType != g.family || portsKey(s.Ports) != key || s.DeletionTimestamp != nil {
			continue
		}
		fitting, used[s] = append(fitting, s), true
		for _, e := range s.Endpoints {
			if now, ok := want[identity(e)]; ok && len(kept[s]) < perSlice {
				kept[s] = append(kept[s], now)
				delete(want, identity(e))
			}
		}
	}
	var left []discoveryv1.Endpoint
	for _, e := range g.endpoints {
		if _, ok := want[identity(e)]; ok {
			left = append(left, e)
		}
	}
	for i, s := range fitting {
		n := min(perSlice-len(kept[s]), len(left))
		kept[s] = append(kept[s], left[:n]...)
		left = left[n:]
		if len(kept[s]) == 0 && (i > 0 || len(g.endpoints) > 0) {
			used[s] = false // empty: deleted
			continue
		}
		p.keep(m, s, kept[s])
	}
	for len(left) > 0 || len(fitting) == 0 {
		n := min(perSlice, len(left))
		p.create = append(p.create, build(m, g, left[:n]))
		if left = left[n:]; len(left) == 0 {
			return
		}
	}
}

// identity is what makes an endpoint the same one although its state changed.
func identity(e discoveryv1.Endpoint) string {
	if e.TargetRef != nil {
		return e.Addresses[0] + " " + string(e.TargetRef.UID)
	}
	return e.Addresses[0]
}

func (p *slicesPlan) keep(m meta, s *discoveryv1.EndpointSlice, endpoints []discoveryv1.Endpoint) {
	next := *s
	next.Endpoints = endpoints
	next.Labels = m.labels
	if len(endpoints) == 0 {
		next.Endpoints = s.Endpoints[:0]
	}
	if equality.Semantic.DeepEqual(s.Endpoints, next.Endpoints) && maps.Equal(s.Labels, next.Labels) {
		return
	}
	p.update = append(p.update, next.DeepCopy())
}

func build(m meta, g *group, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: m.namespace, GenerateName: m.prefix, Labels: m.labels, OwnerReferences: []metav1.OwnerReference{m.owner},
		},
		AddressType: g.family, Ports: g.ports, Endpoints: append([]discoveryv1.Endpoint{}, endpoints...),
	}
}

func serviceMeta(svc *corev1.Service) meta {
	labels := maps.Clone(svc.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, headlessLabel)
	if headless(svc) {
		labels[headlessLabel] = ""
	}
	labels[discoveryv1.LabelServiceName] = svc.Name
	labels[discoveryv1.LabelManagedBy] = managedBy
	return meta{svc.Name + "-", svc.Namespace, labels, controller.RefTo(svc, corev1.SchemeGroupVersion.WithKind("Service"))}
}
