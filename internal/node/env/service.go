package env

import (
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Services adds the variables that announce services: NAME_SERVICE_HOST and so on, and those of Docker's old links.
func Services(out map[string]string, services []*corev1.Service) {
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		name := variable(s.Name)
		out[name+"_SERVICE_HOST"] = s.Spec.ClusterIP
		out[name+"_SERVICE_PORT"] = port(s.Spec.Ports[0].Port)
		for i, p := range s.Spec.Ports {
			if p.Name != "" {
				out[name+"_SERVICE_PORT_"+variable(p.Name)] = port(p.Port)
			}
			proto := string(p.Protocol)
			if proto == "" {
				proto = "TCP"
			}
			url := strings.ToLower(proto) + "://" + net.JoinHostPort(s.Spec.ClusterIP, port(p.Port))
			if i == 0 {
				out[name+"_PORT"] = url
			}
			link := name + "_PORT_" + port(p.Port) + "_" + strings.ToUpper(proto)
			out[link] = url
			out[link+"_PROTO"] = strings.ToLower(proto)
			out[link+"_PORT"] = port(p.Port)
			out[link+"_ADDR"] = s.Spec.ClusterIP
		}
	}
}

func port(p int32) string { return strconv.Itoa(int(p)) }

func variable(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }
