package spec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

// Hostname is what a pod calls itself, and its domain when it is in a subdomain.
func Hostname(p *corev1.Pod, clusterDomain string) (host, domain string, err error) {
	if o := p.Spec.HostnameOverride; o != nil {
		return *o, "", nil
	}
	host = p.Name
	if p.Spec.Hostname != "" {
		host = p.Spec.Hostname
	}
	if len(host) > 63 {
		host = strings.TrimRight(host[:63], "-.")
	}
	if p.Spec.Subdomain != "" {
		domain = fmt.Sprintf("%s.%s.svc.%s", p.Spec.Subdomain, p.Namespace, clusterDomain)
	}
	if is(p.Spec.SetHostnameAsFQDN) && domain != "" {
		fqdn := host + "." + domain
		if len(fqdn) > 64 {
			return "", "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (64 characters is the max, %d characters requested)", fqdn, len(fqdn))
		}
		host = fqdn
	}
	return host, domain, nil
}

const hostsHead = `# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
`

// Hosts is the content of a pod's hosts file. node is the machine's own, for pods in its network.
func Hosts(p *corev1.Pod, ips []string, host, domain string, node []byte) []byte {
	var b strings.Builder
	if p.Spec.HostNetwork {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(node)
	} else {
		b.WriteString(hostsHead)
		for _, ip := range ips {
			switch {
			case domain == "":
				fmt.Fprintf(&b, "%s\t%s\n", ip, host)
			default:
				short, _, _ := strings.Cut(host, ".")
				fmt.Fprintf(&b, "%s\t%s.%s\t%s\n", ip, short, domain, short)
			}
		}
	}
	if len(p.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range p.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return []byte(b.String())
}

// Limits of resolv.conf, as upstream.
const (
	maxServers  = 3
	maxSearches = 32
)

// DNS is a pod's resolv.conf by its policy. node is the machine's; clusterIP is empty when there is no cluster DNS.
func DNS(p *corev1.Pod, node engine.DNS, clusterIP, clusterDomain string) engine.DNS {
	policy := p.Spec.DNSPolicy
	if clusterIP == "" && policy != corev1.DNSNone || policy == corev1.DNSClusterFirst && p.Spec.HostNetwork {
		policy = corev1.DNSDefault
	}
	var d engine.DNS
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet:
		d.Servers = []string{clusterIP}
		d.Searches = append([]string{p.Namespace + ".svc." + clusterDomain, "svc." + clusterDomain, clusterDomain}, node.Searches...)
		d.Options = []string{"ndots:5"}
	default:
		d = engine.DNS{Servers: clone(node.Servers), Searches: clone(node.Searches), Options: clone(node.Options)}
	}
	if c := p.Spec.DNSConfig; c != nil {
		d.Servers, d.Searches = append(d.Servers, c.Nameservers...), append(d.Searches, c.Searches...)
		for _, o := range c.Options {
			d.Options = option(d.Options, o)
		}
	}
	d.Servers, d.Searches = unique(d.Servers, maxServers), unique(d.Searches, maxSearches)
	return d
}

func clone(l []string) []string { return append([]string(nil), l...) }

// option sets one option, replacing one of its name.
func option(l []string, o corev1.PodDNSConfigOption) []string {
	text := o.Name
	if o.Value != nil && *o.Value != "" {
		text += ":" + *o.Value
	}
	for i := range l {
		if name, _, _ := strings.Cut(l[i], ":"); name == o.Name {
			l[i] = text
			return l
		}
	}
	return append(l, text)
}

func unique(l []string, most int) (out []string) {
	seen := map[string]bool{}
	for _, s := range l {
		if !seen[s] && len(out) < most {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// ParseResolvConf reads resolv.conf(5).
func ParseResolvConf(b []byte) (d engine.DNS) {
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") || strings.HasPrefix(f[0], ";") {
			continue
		}
		switch f[0] {
		case "nameserver":
			d.Servers = append(d.Servers, f[1])
		case "search":
			d.Searches = nil
			for _, s := range f[1:] {
				if s != "." {
					d.Searches = append(d.Searches, strings.TrimSuffix(s, "."))
				}
			}
		case "options":
			d.Options = f[1:]
		}
	}
	return d
}

// Sandbox is the engine's picture of a pod.
func Sandbox(p *corev1.Pod, attempt uint32, labels map[string]string, host string, dns engine.DNS, logDir string, pids int64) engine.SandboxConfig {
	c := engine.SandboxConfig{
		Name: p.Name, Group: p.Namespace, UID: string(p.UID), Attempt: attempt,
		Labels: labels, LogDir: logDir, DNS: dns,
		CgroupParent: CgroupParent(p), Resources: Pod(p, pids),
	}
	if p.Spec.HostNetwork {
		c.Network = engine.Host
	} else {
		c.Hostname = host
	}
	if p.Spec.HostPID {
		c.PID = engine.Host
	} else if is(p.Spec.ShareProcessNamespace) {
		c.PID = engine.Shared
	}
	if p.Spec.HostIPC {
		c.IPC = engine.Host
	}
	if sc := p.Spec.SecurityContext; sc != nil && len(sc.Sysctls) > 0 {
		c.Sysctls = map[string]string{}
		for _, s := range sc.Sysctls {
			c.Sysctls[s.Name] = s.Value
		}
	}
	if !p.Spec.HostNetwork {
		c.Ports = ports(p)
	}
	return c
}

// ports are the host ports of main containers and sidecars.
func ports(p *corev1.Pod) (out []engine.PortMapping) {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			for _, m := range l[i].Ports {
				if m.HostPort == 0 {
					continue
				}
				out = append(out, engine.PortMapping{Protocol: strings.ToLower(string(m.Protocol)),
					ContainerPort: uint16(m.ContainerPort), HostPort: uint16(m.HostPort), HostIP: m.HostIP})
			}
		}
	}
	return out
}
