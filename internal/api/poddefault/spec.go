// Package poddefault fills in what a pod or a pod template leaves out.
//
// Values are those of the API's documentation. Every function is idempotent.
// It must not know the kinds that embed a spec. Read Spec first.
package poddefault

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Set gives p a value when it has none.
func Set[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetZero gives p a value when it has the zero one.
func SetZero[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// Spec is for pods and templates alike.
func Spec(s *corev1.PodSpec) {
	SetZero(&s.DNSPolicy, corev1.DNSClusterFirst)
	SetZero(&s.RestartPolicy, corev1.RestartPolicyAlways)
	Set(&s.SecurityContext, corev1.PodSecurityContext{})
	Set(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	SetZero(&s.SchedulerName, corev1.DefaultSchedulerName)
	// The old name is still there for those who read it.
	SetZero(&s.ServiceAccountName, s.DeprecatedServiceAccount)
	s.DeprecatedServiceAccount = s.ServiceAccountName
	for i := range s.Volumes {
		volume(&s.Volumes[i])
	}
	for i := range s.InitContainers {
		container(&s.InitContainers[i])
	}
	for i := range s.Containers {
		container(&s.Containers[i])
	}
	for i := range s.EphemeralContainers {
		container((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon))
	}
	Round(s.Overhead)
	if s.Resources != nil {
		requirements(s.Resources)
	}
}

// Round brings quantities up to what is stored: thousandths.
func Round(l corev1.ResourceList) {
	for n, q := range l {
		// Most are whole already; those are not written, as others may be reading.
		if !q.RoundUp(resource.Milli) {
			l[n] = q
		}
	}
}

func requirements(r *corev1.ResourceRequirements) {
	Round(r.Limits)
	Round(r.Requests)
}

func container(c *corev1.Container) {
	for i := range c.Ports {
		SetZero(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		if f := c.Env[i].ValueFrom; f != nil && f.FieldRef != nil {
			SetZero(&f.FieldRef.APIVersion, "v1")
		}
		if f := c.Env[i].ValueFrom; f != nil && f.FileKeyRef != nil {
			Set(&f.FileKeyRef.Optional, false)
		}
	}
	requirements(&c.Resources)
	probe(c.LivenessProbe)
	probe(c.ReadinessProbe)
	probe(c.StartupProbe)
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				httpGet(h.HTTPGet)
			}
		}
	}
	SetZero(&c.ImagePullPolicy, PullPolicy(c.Image))
	SetZero(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	SetZero(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
}

func probe(p *corev1.Probe) {
	if p == nil {
		return
	}
	httpGet(p.HTTPGet)
	if p.GRPC != nil {
		Set(&p.GRPC.Service, "")
	}
	SetZero(&p.TimeoutSeconds, 1)
	SetZero(&p.PeriodSeconds, 10)
	SetZero(&p.SuccessThreshold, 1)
	SetZero(&p.FailureThreshold, 3)
}

func httpGet(a *corev1.HTTPGetAction) {
	if a != nil {
		SetZero(&a.Path, "/")
		SetZero(&a.Scheme, corev1.URISchemeHTTP)
	}
}

// PullPolicy is Always for what may change behind its name: the tag latest, said or meant.
func PullPolicy(image string) corev1.PullPolicy {
	name, _, digest := strings.Cut(image, "@")
	_, tag, tagged := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	if image != "" && (tag == "latest" || !tagged && !digest) {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
