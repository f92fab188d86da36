package aggregate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
)

type condition = apiregistrationv1.APIServiceCondition

func available(reason, message string) condition {
	return condition{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue, Reason: reason, Message: message}
}

func unavailable(reason, format string, args ...any) *condition {
	return &condition{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// reachable decides from the objects alone whether a service can be asked; nil means it can. svc is nil when there
// is none. What is no cluster IP service (an external name) is only asked.
func reachable(ref *apiregistrationv1.ServiceReference, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) *condition {
	if svc == nil {
		return unavailable("ServiceNotFound", "service/%s in %q is not present", ref.Name, ref.Namespace)
	}
	if svc.Spec.Type != corev1.ServiceTypeClusterIP {
		return nil
	}
	port, found := "", false
	for _, p := range svc.Spec.Ports {
		if p.Port == portOf(ref) {
			port, found = p.Name, true
		}
	}
	switch {
	case !found:
		return unavailable("ServicePortError", "service/%s in %q is not listening on port %d", ref.Name, ref.Namespace, portOf(ref))
	case len(slices) == 0:
		return unavailable("EndpointsNotFound", "cannot find endpointslices for service/%s in %q", ref.Name, ref.Namespace)
	case !hasAddress(slices, port):
		return unavailable("MissingEndpoints", "endpointslices for service/%s in %q have no addresses with port name %q", ref.Name, ref.Namespace, port)
	}
	return nil
}

func portOf(ref *apiregistrationv1.ServiceReference) int32 {
	if ref.Port == nil {
		return 443
	}
	return *ref.Port
}

func hasAddress(slices []*discoveryv1.EndpointSlice, port string) bool {
	for _, s := range slices {
		for _, p := range s.Ports {
			if p.Name == nil && port != "" || p.Name != nil && *p.Name != port {
				continue
			}
			for _, e := range s.Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					return true
				}
			}
		}
	}
	return false
}

// check looks at the service, then asks the server. An error means that it is worth asking again soon.
func (a *Aggregator) check(ctx context.Context, r *remote) (condition, error) {
	ref := r.spec.Service
	var svc *corev1.Service
	if o, ok := a.Reader.Get(a.Reader.Registry().Resource(corev1.Resource("services")), ref.Namespace, ref.Name); ok {
		svc = o.(*corev1.Service)
	}
	var slices []*discoveryv1.EndpointSlice
	a.Reader.Each(a.Reader.Registry().Resource(discoveryv1.Resource("endpointslices")), ref.Namespace, func(o api.Object) bool {
		if o.GetLabels()[discoveryv1.LabelServiceName] == ref.Name {
			slices = append(slices, o.(*discoveryv1.EndpointSlice))
		}
		return true
	})
	if c := reachable(ref, svc, slices); c != nil {
		return *c, nil // a change of the service or of its endpoints comes here again
	}
	if err := a.probe(ctx, r); err != nil {
		return *unavailable("FailedDiscoveryCheck", "%s", err), err
	}
	return available("Passed", "all checks passed"), nil
}
