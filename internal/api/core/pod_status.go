package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// podStatusValidate refuses what no node would report.
func podStatusValidate(p, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("status")
	s, was := &p.Status, &old.Status
	var errs field.ErrorList
	for i, c := range s.Conditions {
		if c.Type != corev1.PodScheduled && c.Type != corev1.PodReady && c.Type != corev1.PodInitialized {
			errs = append(errs, check.QualifiedName(path.Child("conditions").Index(i).Child("Type"), string(c.Type))...)
		}
	}
	if s.NominatedNodeName != was.NominatedNodeName && s.NominatedNodeName != "" {
		errs = append(errs, check.DNSSubdomain(path.Child("nominatedNodeName"), s.NominatedNodeName)...)
	}
	errs = append(errs, check.Immutable(path.Child("qosClass"), s.QOSClass, was.QOSClass)...)
	errs = append(errs, noRevival(path.Child("containerStatuses"), s.ContainerStatuses, was.ContainerStatuses, old.Spec.Containers, old.Spec.RestartPolicy)...)
	errs = append(errs, noRevival(path.Child("initContainerStatuses"), s.InitContainerStatuses, was.InitContainerStatuses, old.Spec.InitContainers, old.Spec.RestartPolicy)...)
	errs = append(errs, noRevival(path.Child("ephemeralContainerStatuses"), s.EphemeralContainerStatuses, was.EphemeralContainerStatuses, nil, corev1.RestartPolicyNever)...)
	return append(errs, statusIPs(path, s)...)
}

// noRevival: a container that ended for good stays so.
func noRevival(path *field.Path, now, old []corev1.ContainerStatus, containers []corev1.Container, policy corev1.RestartPolicy) field.ErrorList {
	if policy == corev1.RestartPolicyAlways {
		return nil
	}
	var errs field.ErrorList
	for i := range old {
		t := old[i].State.Terminated
		if t == nil || t.ExitCode != 0 && policy == corev1.RestartPolicyOnFailure {
			continue
		}
		own := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == old[i].Name })
		if own >= 0 && (podspec.IsSidecar(&containers[own]) || containers[own].RestartPolicy != nil) {
			continue // its own policy decides
		}
		for j := range now {
			if now[j].Name == old[i].Name && now[j].State.Terminated == nil {
				errs = append(errs, field.Forbidden(path.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
			}
		}
	}
	return errs
}

func statusIPs(path *field.Path, s *corev1.PodStatus) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	var ips []string
	for i, ip := range s.PodIPs {
		errs = append(errs, check.LegacyIP(path.Child("podIPs").Index(i), ip.IP)...)
		if seen[ip.IP] {
			errs = append(errs, field.Duplicate(path.Child("podIPs").Index(i), ip))
		}
		seen[ip.IP] = true
		ips = append(ips, ip.IP)
	}
	errs = append(errs, check.OnePerFamily(path.Child("podIPs"), s.PodIPs, ips)...)
	if len(s.HostIPs) == 0 {
		return errs
	}
	if s.HostIP != s.HostIPs[0].IP {
		errs = append(errs, field.Invalid(path.Child("hostIPs").Index(0).Child("ip"), s.HostIPs[0].IP, "must be equal to `hostIP`"))
	}
	ips = nil
	for i, ip := range s.HostIPs {
		errs = append(errs, check.LegacyIP(path.Child("hostIPs").Index(i), ip.IP)...)
		ips = append(ips, ip.IP)
	}
	return append(errs, check.OnePerFamily(path.Child("hostIPs"), s.HostIPs, ips)...)
}
