package core

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// Endpoints of the core group.
func Endpoints() *api.Kind {
	return &api.Kind{
		Kind: "Endpoints", Resource: "endpoints",
		ShortNames: []string{"ep"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.Endpoints, corev1.EndpointsList](corev1.SchemeGroupVersion)},
		Default: kit.On(func(o *corev1.Endpoints) {
			for i := range o.Subsets {
				for j := range o.Subsets[i].Ports {
					poddefault.SetZero(&o.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
				}
			}
		}),
		Validate:       kit.To(endpointsValidate),
		CreateOnUpdate: true,
		Warnings: func(_, _ api.Object) []string {
			return []string{"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}
		},
		Columns: kit.Columns(kit.Column("Endpoints", corev1.Endpoints{}.SwaggerDoc()["subsets"])),
		Cells: kit.Cells(func(o *corev1.Endpoints, now time.Time) []any {
			return []any{o.Name, endpointsCell(o), kit.Age(o, now)}
		}),
	}
}

func endpointsValidate(o *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("subsets")
	for i := range o.Subsets {
		s, ip := &o.Subsets[i], p.Index(i)
		if len(s.Addresses) == 0 && len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(ip, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j := range s.Addresses {
			errs = append(errs, endpointAddress(ip.Child("addresses").Index(j), &s.Addresses[j])...)
		}
		for j := range s.NotReadyAddresses {
			errs = append(errs, endpointAddress(ip.Child("notReadyAddresses").Index(j), &s.NotReadyAddresses[j])...)
		}
		for j := range s.Ports {
			port, pp := &s.Ports[j], ip.Child("ports").Index(j)
			if port.Name != "" {
				errs = append(errs, check.DNSLabel(pp.Child("name"), port.Name)...)
			} else if len(s.Ports) > 1 {
				errs = append(errs, field.Required(pp.Child("name"), ""))
			}
			errs = append(errs, check.Port(pp.Child("port"), port.Port)...)
			errs = append(errs, check.OneOf(pp.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
			if port.AppProtocol != nil {
				errs = append(errs, check.QualifiedName(pp.Child("appProtocol"), *port.AppProtocol)...)
			}
		}
	}
	return errs
}

func endpointAddress(p *field.Path, a *corev1.EndpointAddress) field.ErrorList {
	errs := check.LegacyIP(p.Child("ip"), a.IP)
	if a.Hostname != "" {
		errs = append(errs, check.DNSLabel(p.Child("hostname"), a.Hostname)...)
	}
	if a.NodeName != nil {
		errs = append(errs, check.DNSSubdomain(p.Child("nodeName"), *a.NodeName)...)
	}
	return append(errs, check.UnicastIP(p.Child("ip"), a.IP)...)
}

// endpointsCell names the first three.
func endpointsCell(o *corev1.Endpoints) string {
	var list []string
	for i := range o.Subsets {
		s := &o.Subsets[i]
		for j := range s.Addresses {
			if len(s.Ports) == 0 {
				list = append(list, s.Addresses[j].IP)
			}
		}
		for _, port := range s.Ports {
			for j := range s.Addresses {
				list = append(list, net.JoinHostPort(s.Addresses[j].IP, strconv.Itoa(int(port.Port))))
			}
		}
	}
	switch n := len(list); {
	case len(o.Subsets) == 0:
		return "<none>"
	case n > 3:
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:3], ","), n-3)
	}
	return strings.Join(list, ",")
}
