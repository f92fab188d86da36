package check

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// LegacyIP wants an address, as fields from before strict parsing do; old are values that are stored already.
func LegacyIP(p *field.Path, v string, old ...string) field.ErrorList {
	return validation.IsValidIPForLegacyField(p, v, false, old)
}

// LegacyCIDR is LegacyIP for networks.
func LegacyCIDR(p *field.Path, v string, old ...string) field.ErrorList {
	return validation.IsValidCIDRForLegacyField(p, v, false, old)
}

// UnicastIP refuses addresses that no endpoint may have: they would reach the node itself.
func UnicastIP(p *field.Path, v string) field.ErrorList {
	ip := netutils.ParseIPSloppy(v)
	if ip == nil {
		return One(field.Invalid(p, v, "must be a valid IP address"))
	}
	var errs field.ErrorList
	bad := func(message string) { errs = append(errs, field.Invalid(p, v, message)) }
	if ip.IsUnspecified() {
		bad(fmt.Sprintf("may not be unspecified (%v)", v))
	}
	if ip.IsLoopback() {
		bad("may not be in the loopback range (127.0.0.0/8, ::1/128)")
	}
	if ip.IsLinkLocalUnicast() {
		bad("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
	}
	if ip.IsLinkLocalMulticast() {
		bad("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
	}
	return errs
}

// OnePerFamily wants at most one IPv4 and one IPv6 address.
func OnePerFamily(p *field.Path, value any, ips []string) field.ErrorList {
	if len(ips) < 2 {
		return nil
	}
	if dual, err := netutils.IsDualStackIPStrings(ips); err != nil || !dual || len(ips) > 2 {
		return One(field.Invalid(p, value, "may specify no more than one IP for each IP family"))
	}
	return nil
}
