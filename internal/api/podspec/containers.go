package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func (s *scope) containers(p *field.Path) field.ErrorList {
	if len(s.spec.Containers) == 0 {
		return check.One(field.Required(p, ""))
	}
	var errs field.ErrorList
	names, ports := map[string]bool{}, map[string]bool{}
	for i := range s.spec.Containers {
		c, cp := &s.spec.Containers[i], p.Index(i)
		errs = append(errs, s.container(cp, c)...)
		if names[c.Name] {
			errs = append(errs, field.Duplicate(cp.Child("name"), c.Name))
		}
		names[c.Name] = true
		errs = append(errs, s.hooks(cp, c)...)
		errs = append(errs, restart(cp, c)...)
		errs = append(errs, hostPorts(cp, c, ports)...)
	}
	return errs
}

func (s *scope) initContainers(p *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range s.spec.Containers {
		names[s.spec.Containers[i].Name] = true
	}
	for i := range s.spec.InitContainers {
		c, cp := &s.spec.InitContainers[i], p.Index(i)
		errs = append(errs, s.container(cp, c)...)
		errs = append(errs, restart(cp, c)...)
		if names[c.Name] {
			errs = append(errs, field.Duplicate(cp.Child("name"), c.Name))
		} else if c.Name != "" {
			names[c.Name] = true
		}
		// They run one after the other, so each has all ports to itself.
		errs = append(errs, hostPorts(cp, c, map[string]bool{})...)
		if IsSidecar(c) {
			errs = append(errs, s.hooks(cp, c)...)
			continue
		}
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil},
			{"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil},
		} {
			if f.set {
				errs = append(errs, field.Forbidden(cp.Child(f.name), "may not be set for init containers without restartPolicy=Always"))
			}
		}
	}
	return errs
}

func (s *scope) ephemeralContainers(p *field.Path) field.ErrorList {
	if len(s.spec.EphemeralContainers) == 0 {
		return nil
	}
	var errs field.ErrorList
	lasting, names := map[string]bool{}, map[string]bool{}
	for _, list := range [][]corev1.Container{s.spec.Containers, s.spec.InitContainers} {
		for i := range list {
			lasting[list[i].Name], names[list[i].Name] = true, true
		}
	}
	for i := range s.spec.EphemeralContainers {
		e, ep := &s.spec.EphemeralContainers[i], p.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, s.container(ep, c)...)
		errs = append(errs, imageSpace(ep, c)...)
		if names[e.Name] {
			errs = append(errs, field.Duplicate(ep.Child("name"), e.Name))
		}
		names[e.Name] = true
		if e.TargetContainerName != "" && !lasting[e.TargetContainerName] {
			errs = append(errs, field.NotFound(ep.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, ephemeralFields(ep, c)...)
	}
	return errs
}

// ephemeralFields refuses what a debugging container must not promise.
func ephemeralFields(p *field.Path, c *corev1.Container) field.ErrorList {
	const no = "cannot be set for an Ephemeral Container"
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"ports", c.Ports != nil},
		{"resources", c.Resources.Limits != nil || c.Resources.Requests != nil || c.Resources.Claims != nil},
		{"resizePolicy", c.ResizePolicy != nil}, {"restartPolicy", c.RestartPolicy != nil},
		{"restartPolicyRules", c.RestartPolicyRules != nil},
		{"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil},
		{"startupProbe", c.StartupProbe != nil}, {"lifecycle", c.Lifecycle != nil},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(p.Child(f.name), no))
		}
	}
	for i, m := range c.VolumeMounts {
		if m.SubPath != "" {
			errs = append(errs, field.Forbidden(p.Child("volumeMounts").Index(i).Child("subPath"), no))
		}
		if m.SubPathExpr != "" {
			errs = append(errs, field.Forbidden(p.Child("volumeMounts").Index(i).Child("subPathExpr"), no))
		}
	}
	return errs
}

// container checks what all containers have in common.
func (s *scope) container(p *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(p.Child("name"), ""))
	} else {
		errs = append(errs, check.DNSLabel(p.Child("name"), c.Name)...)
	}
	return append(errs, check.Join(
		check.Present(p.Child("image"), c.Image),
		check.OneOf(p.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
			corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError),
		containerPorts(p.Child("ports"), c.Ports),
		s.env(p.Child("env"), c.Env),
		envFrom(p.Child("envFrom"), c.EnvFrom),
		s.mounts(p.Child("volumeMounts"), c),
		s.devices(p.Child("volumeDevices"), c),
		check.OneOf(p.Child("imagePullPolicy"), c.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever),
		check.Requirements(p.Child("resources"), &c.Resources, check.ContainerResourceName),
		s.claimNames(p.Child("resources", "claims"), c.Resources.Claims),
		s.resizePolicy(p.Child("resizePolicy"), c.ResizePolicy),
		s.security(p.Child("securityContext"), c.SecurityContext),
	)...)
}

func containerPorts(p *field.Path, ports []corev1.ContainerPort) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i, port := range ports {
		ip := p.Index(i)
		if port.Name != "" {
			if msgs := validation.IsValidPortName(port.Name); len(msgs) > 0 {
				errs = append(errs, check.Invalid(ip.Child("name"), port.Name, msgs)...)
			} else if names[port.Name] {
				errs = append(errs, field.Duplicate(ip.Child("name"), port.Name))
			}
			names[port.Name] = true
		}
		if port.ContainerPort == 0 {
			errs = append(errs, field.Required(ip.Child("containerPort"), ""))
		} else {
			errs = append(errs, check.Port(ip.Child("containerPort"), port.ContainerPort)...)
		}
		if port.HostPort != 0 {
			errs = append(errs, check.Port(ip.Child("hostPort"), port.HostPort)...)
		}
		errs = append(errs, check.OneOf(ip.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	}
	return errs
}

// hostPorts adds the container's host ports to seen.
func hostPorts(p *field.Path, c *corev1.Container, seen map[string]bool) field.ErrorList {
	var errs field.ErrorList
	for i, port := range c.Ports {
		if port.HostPort == 0 {
			continue
		}
		key := fmt.Sprintf("%s/%s/%d", port.Protocol, port.HostIP, port.HostPort)
		if seen[key] {
			errs = append(errs, field.Duplicate(p.Child("ports").Index(i).Child("hostPort"), key))
		}
		seen[key] = true
	}
	return errs
}

// restart checks a container's own restart policy (KEP-753, KEP-5307).
func restart(p *field.Path, c *corev1.Container) field.ErrorList {
	errs := check.OptionalOf(p.Child("restartPolicy"), c.RestartPolicy,
		corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
	rules := p.Child("restartPolicyRules")
	if len(c.RestartPolicyRules) == 0 {
		return errs
	}
	if c.RestartPolicy == nil {
		errs = append(errs, field.Required(p.Child("restartPolicy"), "must specify restartPolicy when restart rules are used"))
	}
	if len(c.RestartPolicyRules) > 20 {
		errs = append(errs, field.TooMany(rules, len(c.RestartPolicyRules), 20))
	}
	for i, r := range c.RestartPolicyRules {
		rp := rules.Index(i)
		errs = append(errs, check.Supported(rp.Child("action"), r.Action, corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)...)
		if r.ExitCodes == nil {
			errs = append(errs, field.Required(rp.Child("exitCodes"), "must be specified"))
			continue
		}
		errs = append(errs, check.Supported(rp.Child("exitCodes", "operator"), r.ExitCodes.Operator,
			corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)...)
		if n := len(r.ExitCodes.Values); n > 255 {
			errs = append(errs, field.TooMany(rp.Child("exitCodes", "values"), n, 255))
		}
	}
	return errs
}

func (s *scope) resizePolicy(p *field.Path, policies []corev1.ContainerResizePolicy) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.ResourceName]bool{}
	for i, r := range policies {
		if seen[r.ResourceName] {
			errs = append(errs, field.Duplicate(p.Index(i), r.ResourceName))
		}
		seen[r.ResourceName] = true
		errs = append(errs, check.OneOf(p, r.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)...)
		errs = append(errs, check.OneOf(p, r.RestartPolicy, corev1.NotRequired, corev1.RestartContainer)...)
		if s.spec.RestartPolicy == corev1.RestartPolicyNever && r.RestartPolicy != corev1.NotRequired {
			errs = append(errs, field.Invalid(p, r.RestartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
		}
	}
	return errs
}
