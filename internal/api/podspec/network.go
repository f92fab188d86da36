package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// Limits of libc's resolver.
const (
	maxNameservers = 3
	maxSearches    = 32
	maxSearchChars = 2048
)

func dnsConfig(p *field.Path, c *corev1.PodDNSConfig, policy corev1.DNSPolicy) field.ErrorList {
	if policy == corev1.DNSNone {
		if c == nil {
			return check.One(field.Required(p, fmt.Sprintf("must provide `dnsConfig` when `dnsPolicy` is %s", policy)))
		}
		if len(c.Nameservers) == 0 {
			return check.One(field.Required(p.Child("nameservers"), fmt.Sprintf("must provide at least one DNS nameserver when `dnsPolicy` is %s", policy)))
		}
	}
	if c == nil {
		return nil
	}
	var errs field.ErrorList
	if len(c.Nameservers) > maxNameservers {
		errs = append(errs, field.Invalid(p.Child("nameservers"), c.Nameservers, fmt.Sprintf("must not have more than %v nameservers", maxNameservers)))
	}
	for i, ns := range c.Nameservers {
		errs = append(errs, check.LegacyIP(p.Child("nameservers").Index(i), ns)...)
	}
	if len(c.Searches) > maxSearches {
		errs = append(errs, field.Invalid(p.Child("searches"), c.Searches, fmt.Sprintf("must not have more than %v search paths", maxSearches)))
	}
	if len(strings.Join(c.Searches, " ")) > maxSearchChars {
		errs = append(errs, field.Invalid(p.Child("searches"), c.Searches, fmt.Sprintf("must not have more than %v characters (including spaces) in the search list", maxSearchChars)))
	}
	for i, s := range c.Searches {
		if s != "." {
			s = strings.TrimSuffix(s, ".")
			errs = append(errs, check.Invalid(p.Child("searches").Index(i), s, validation.IsDNS1123SubdomainWithUnderscore(s))...)
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(p.Child("options").Index(i), "must not be empty"))
		}
	}
	return errs
}

func hostAliases(p *field.Path, aliases []corev1.HostAlias) field.ErrorList {
	var errs field.ErrorList
	for i, a := range aliases {
		errs = append(errs, check.LegacyIP(p.Index(i).Child("ip"), a.IP)...)
		for j, h := range a.Hostnames {
			errs = append(errs, check.DNSSubdomain(p.Index(i).Child("hostnames").Index(j), h)...)
		}
	}
	return errs
}

// hostNetworkPorts: on the host's network a port is a host port. Templates may leave that to the pod's defaults.
func (s *scope) hostNetworkPorts(p *field.Path) field.ErrorList {
	if !s.spec.HostNetwork {
		return nil
	}
	var errs field.ErrorList
	for i := range s.spec.Containers {
		for j, port := range s.spec.Containers[i].Ports {
			if (s.meta != nil || port.HostPort != 0) && port.HostPort != port.ContainerPort {
				errs = append(errs, field.Invalid(p.Index(i).Child("ports").Index(j).Child("hostPort"), port.HostPort,
					"must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}
