package webhook

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Endpoints resolves services by the objects in r: one of the ready endpoints at random, an external name as it is.
func Endpoints(r request.Reader) Resolver { return endpoints{r} }

type endpoints struct{ r request.Reader }

func (e endpoints) Resolve(namespace, name string, port int32) (string, error) {
	gr := schema.GroupResource{Resource: "services"}
	obj, ok := e.r.Get(e.r.Registry().Resource(gr), namespace, name)
	if !ok {
		return "", apierrors.NewNotFound(corev1.Resource("service"), name) // as upstream words it
	}
	svc := obj.(*corev1.Service)
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return net.JoinHostPort(svc.Spec.ExternalName, strconv.Itoa(int(port))), nil
	}
	portName, err := portOf(svc, port)
	if err != nil {
		return "", err
	}
	ready := e.ready(namespace, name, portName)
	if len(ready) == 0 {
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	}
	return ready[rand.IntN(len(ready))], nil
}

// portOf is the name that the service's endpoints know the port by.
func portOf(svc *corev1.Service, port int32) (string, error) {
	for _, p := range svc.Spec.Ports {
		if p.Port == port && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", port, svc.Name))
}

// ready lists "ip:port" of the endpoints that answer.
func (e endpoints) ready(namespace, name, port string) []string {
	var out []string
	slices := e.r.Registry().Resource(schema.GroupResource{Group: discoveryv1.GroupName, Resource: "endpointslices"})
	e.r.Each(slices, namespace, func(o api.Object) bool {
		if es := o.(*discoveryv1.EndpointSlice); es.Labels[discoveryv1.LabelServiceName] == name {
			out = append(out, readyIn(es, port)...)
		}
		return true
	})
	return out
}

func readyIn(es *discoveryv1.EndpointSlice, port string) []string {
	var out []string
	for _, p := range es.Ports {
		if p.Port == nil || p.Name != nil && *p.Name != port || p.Name == nil && port != "" {
			continue
		}
		for _, e := range es.Endpoints {
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port))))
			}
		}
	}
	return out
}
