package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// hooks checks probes and lifecycle of containers that keep running.
func (s *scope) hooks(p *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	if l := c.Lifecycle; l != nil {
		lp := p.Child("lifecycle")
		if l.PostStart != nil {
			errs = append(errs, s.handler(lp.Child("postStart"), ofLifecycle(l.PostStart))...)
		}
		if l.PreStop != nil {
			errs = append(errs, s.handler(lp.Child("preStop"), ofLifecycle(l.PreStop))...)
		}
		if l.StopSignal != nil && s.spec.OS == nil {
			errs = append(errs, field.Forbidden(lp.Child("stopSignal"), "may not be set for containers with empty `spec.os.name`"))
		}
	}
	errs = append(errs, s.probe(p.Child("livenessProbe"), c.LivenessProbe, true)...)
	errs = append(errs, s.probe(p.Child("readinessProbe"), c.ReadinessProbe, false)...)
	if r := c.ReadinessProbe; r != nil && r.TerminationGracePeriodSeconds != nil {
		errs = append(errs, field.Invalid(p.Child("readinessProbe", "terminationGracePeriodSeconds"), r.TerminationGracePeriodSeconds, "must not be set for readinessProbes"))
	}
	return append(errs, s.probe(p.Child("startupProbe"), c.StartupProbe, true)...)
}

// probe checks one probe; oneSuccess: a single success is all it can ask for.
func (s *scope) probe(p *field.Path, pr *corev1.Probe, oneSuccess bool) field.ErrorList {
	if pr == nil {
		return nil
	}
	errs := check.Join(
		s.handler(p, handler{pr.Exec, pr.HTTPGet, pr.TCPSocket, pr.GRPC, nil}),
		check.NonNegative(p.Child("initialDelaySeconds"), pr.InitialDelaySeconds),
		check.NonNegative(p.Child("timeoutSeconds"), pr.TimeoutSeconds),
		check.NonNegative(p.Child("periodSeconds"), pr.PeriodSeconds),
		check.NonNegative(p.Child("successThreshold"), pr.SuccessThreshold),
		check.NonNegative(p.Child("failureThreshold"), pr.FailureThreshold),
	)
	if g := pr.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		errs = append(errs, field.Invalid(p.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0"))
	}
	if oneSuccess && pr.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(p.Child("successThreshold"), pr.SuccessThreshold, "must be 1"))
	}
	return errs
}

// handler is what probes and lifecycle hooks have in common.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func ofLifecycle(l *corev1.LifecycleHandler) handler {
	return handler{l.Exec, l.HTTPGet, l.TCPSocket, nil, l.Sleep}
}

func (s *scope) handler(p *field.Path, h handler) field.ErrorList {
	var errs field.ErrorList
	found := false
	for _, f := range []struct {
		name  string
		set   bool
		check func(*field.Path) field.ErrorList
	}{
		{"exec", h.exec != nil, func(p *field.Path) field.ErrorList { return execAction(p, h.exec) }},
		{"httpGet", h.http != nil, func(p *field.Path) field.ErrorList { return httpAction(p, h.http) }},
		{"tcpSocket", h.tcp != nil, func(p *field.Path) field.ErrorList { return check.PortOrName(p.Child("port"), h.tcp.Port) }},
		{"grpc", h.grpc != nil, func(p *field.Path) field.ErrorList {
			return check.PortOrName(p.Child("port"), intstr.FromInt32(h.grpc.Port))
		}},
		{"sleep", h.sleep != nil, func(p *field.Path) field.ErrorList { return s.sleepAction(p, h.sleep) }},
	} {
		switch {
		case !f.set:
		case found:
			errs = append(errs, field.Forbidden(p.Child(f.name), "may not specify more than 1 handler type"))
		default:
			found = true
			errs = append(errs, f.check(p.Child(f.name))...)
		}
	}
	if !found {
		errs = append(errs, field.Required(p, "must specify a handler type"))
	}
	return errs
}

func execAction(p *field.Path, a *corev1.ExecAction) field.ErrorList {
	if len(a.Command) == 0 {
		return check.One(field.Required(p.Child("command"), ""))
	}
	return nil
}

func httpAction(p *field.Path, a *corev1.HTTPGetAction) field.ErrorList {
	errs := check.Join(
		check.Present(p.Child("path"), a.Path),
		check.PortOrName(p.Child("port"), a.Port),
		check.Supported(p.Child("scheme"), a.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS),
	)
	for _, h := range a.HTTPHeaders {
		errs = append(errs, check.Invalid(p.Child("httpHeaders"), h.Name, validation.IsHTTPHeaderName(h.Name))...)
	}
	return errs
}

func (s *scope) sleepAction(p *field.Path, a *corev1.SleepAction) field.ErrorList {
	grace := s.spec.TerminationGracePeriodSeconds
	if grace != nil && (a.Seconds < 0 || a.Seconds > *grace) {
		return check.One(field.Invalid(p, a.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *grace)))
	}
	return nil
}
