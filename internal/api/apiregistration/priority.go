package apiregistration

import "k8s.io/apimachinery/pkg/runtime/schema"

// Priority is where clients look for a group version that this server serves: groups and versions with more come
// first. The numbers are upstream's (kube-apiserver, its APIServices); custom resources share one.
func Priority(gv schema.GroupVersion, custom bool) (group, version int32) {
	if custom {
		return 1000, 100
	}
	if group = groupPriority(gv.Group); group == 0 {
		return 15000, 15
	}
	switch gv {
	case schema.GroupVersion{Version: "v1"}:
		return group, 1
	case schema.GroupVersion{Group: "autoscaling", Version: "v2"}:
		return group, 30
	case schema.GroupVersion{Group: "flowcontrol.apiserver.k8s.io", Version: "v1"}, schema.GroupVersion{Group: "resource.k8s.io", Version: "v1"}:
		return group, 21
	}
	if gv.Version == "v1" {
		return group, 15
	}
	return group, 9
}

func groupPriority(group string) int32 {
	switch group {
	case "":
		return 18000
	case "apps":
		return 17800
	case "events.k8s.io":
		return 17750
	case "authentication.k8s.io":
		return 17700
	case "authorization.k8s.io":
		return 17600
	case "autoscaling":
		return 17500
	case "batch":
		return 17400
	case "certificates.k8s.io":
		return 17300
	case "networking.k8s.io":
		return 17200
	case "policy":
		return 17100
	case "rbac.authorization.k8s.io":
		return 17000
	case "storage.k8s.io":
		return 16800
	case "apiextensions.k8s.io", "admissionregistration.k8s.io":
		return 16700
	case "scheduling.k8s.io":
		return 16600
	case "coordination.k8s.io":
		return 16500
	case "node.k8s.io":
		return 16300
	case "discovery.k8s.io", "resource.k8s.io":
		return 16200
	case "flowcontrol.apiserver.k8s.io":
		return 16100
	case "apiregistration.k8s.io":
		return 18000
	}
	return 0
}
