// Package podspec validates pod specs: those of pods and those of templates.
//
// Rules and words are those of the API's documentation; each file is a part
// of the spec. It must not know the kinds that embed a spec. Read this file
// first: Spec is the list of all rules.
package podspec

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// scope is what the rules of one spec share.
type scope struct {
	spec    *corev1.PodSpec
	meta    *metav1.ObjectMeta              // of the pod; nil in templates
	volumes map[string]*corev1.VolumeSource // the valid ones, by name
	claims  map[string]bool                 // spec.resourceClaims by name
}

// Spec checks a defaulted spec. meta is the pod's, nil in a template.
func Spec(p *field.Path, spec *corev1.PodSpec, meta *metav1.ObjectMeta) field.ErrorList {
	s := &scope{spec: spec, meta: meta}
	errs := s.checkVolumes(p.Child("volumes"))
	errs = append(errs, s.checkClaims(p.Child("resourceClaims"))...)
	return append(errs, check.Join(
		s.containers(p.Child("containers")),
		s.initContainers(p.Child("initContainers")),
		s.ephemeralContainers(p.Child("ephemeralContainers")),
		s.podResources(p.Child("resources")),
		s.hostNetworkPorts(p.Child("containers")),
		check.OneOf(p.Child("restartPolicy"), spec.RestartPolicy, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever),
		check.OneOf(p.Child("dnsPolicy"), spec.DNSPolicy, corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone),
		check.Labels(p.Child("nodeSelector"), spec.NodeSelector),
		s.podSecurity(p.Child("securityContext")),
		affinity(p.Child("affinity"), spec.Affinity),
		dnsConfig(p.Child("dnsConfig"), spec.DNSConfig, spec.DNSPolicy),
		readinessGates(p.Child("readinessGates"), spec.ReadinessGates),
		schedulingGates(p.Child("schedulingGates"), spec.SchedulingGates),
		spread(p.Child("topologySpreadConstraints"), spec.TopologySpreadConstraints),
		s.hostUsers(p),
		s.names(p),
		s.numbers(p),
		Tolerations(p.Child("tolerations"), spec.Tolerations),
		hostAliases(p.Child("hostAliases"), spec.HostAliases),
		overhead(p.Child("overhead"), spec.Overhead),
		s.os(p),
	)...)
}

func (s *scope) names(p *field.Path) field.ErrorList {
	spec := s.spec
	var errs field.ErrorList
	for _, n := range []struct {
		name, value string
		check       func(*field.Path, string) field.ErrorList
	}{
		{"serviceAccountName", spec.ServiceAccountName, check.DNSSubdomain},
		{"nodeName", spec.NodeName, check.DNSSubdomain},
		{"hostname", spec.Hostname, check.DNSLabel},
		{"subdomain", spec.Subdomain, check.DNSLabel},
		{"priorityClassName", spec.PriorityClassName, check.DNSSubdomain},
	} {
		if n.value != "" {
			errs = append(errs, n.check(p.Child(n.name), n.value)...)
		}
	}
	if r := spec.RuntimeClassName; r != nil {
		errs = append(errs, check.DNSSubdomain(p.Child("runtimeClassName"), *r)...)
	}
	if h := spec.HostnameOverride; h != nil {
		errs = append(errs, check.DNSSubdomain(p.Child("hostnameOverride"), *h)...)
		if len(*h) > 64 {
			errs = append(errs, field.TooLong(p.Child("hostnameOverride"), *h, 64))
		}
		if spec.HostNetwork {
			errs = append(errs, field.Forbidden(p.Child("hostnameOverride"), "may not be specified when hostNetwork is true"))
		}
		if f := spec.SetHostnameAsFQDN; f != nil && *f {
			errs = append(errs, field.Forbidden(p.Child("hostnameOverride"), "may not be specified when setHostnameAsFQDN is true"))
		}
	}
	return errs
}

func (s *scope) numbers(p *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.spec.TerminationGracePeriodSeconds == nil {
		errs = append(errs, field.Required(p.Child("terminationGracePeriodSeconds"), ""))
	}
	if d := s.spec.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(p.Child("activeDeadlineSeconds"), *d, validation.InclusiveRangeError(1, math.MaxInt32)))
	}
	if pp := s.spec.PreemptionPolicy; pp != nil {
		errs = append(errs, check.OneOf(p.Child("preemptionPolicy"), *pp, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	return errs
}

func readinessGates(p *field.Path, gates []corev1.PodReadinessGate) field.ErrorList {
	var errs field.ErrorList
	for i, g := range gates {
		errs = append(errs, check.QualifiedName(p.Index(i).Child("conditionType"), string(g.ConditionType))...)
	}
	return errs
}

func schedulingGates(p *field.Path, gates []corev1.PodSchedulingGate) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, g := range gates {
		errs = append(errs, check.QualifiedName(p.Index(i), g.Name)...)
		if seen[g.Name] {
			errs = append(errs, field.Duplicate(p.Index(i), g.Name))
		}
		seen[g.Name] = true
	}
	return errs
}

// Template checks a pod template.
func Template(p *field.Path, t *corev1.PodTemplateSpec) field.ErrorList {
	errs := check.Join(
		check.Labels(p.Child("labels"), t.Labels),
		check.Annotations(p.Child("annotations"), t.Annotations),
		PodAnnotations(p.Child("annotations"), t.Annotations, &t.Spec),
		Spec(p.Child("spec"), &t.Spec, nil),
	)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(p.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}
