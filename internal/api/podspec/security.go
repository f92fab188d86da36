package podspec

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func (s *scope) podSecurity(p *field.Path) field.ErrorList {
	c := s.spec.SecurityContext
	if share := s.spec.ShareProcessNamespace; share != nil && *share && s.spec.HostPID {
		return check.Join(check.One(field.Invalid(p.Child("shareProcessNamespace"), *share, "ShareProcessNamespace and HostPID cannot both be enabled")))
	}
	if c == nil {
		return nil
	}
	errs := check.Join(
		id(p.Child("fsGroup"), c.FSGroup, validation.IsValidGroupID),
		id(p.Child("runAsUser"), c.RunAsUser, validation.IsValidUserID),
		id(p.Child("runAsGroup"), c.RunAsGroup, validation.IsValidGroupID),
	)
	for i := range c.SupplementalGroups {
		errs = append(errs, id(p.Child("supplementalGroups").Index(i), &c.SupplementalGroups[i], validation.IsValidGroupID)...)
	}
	return append(errs, check.Join(
		s.sysctls(p.Child("sysctls"), c.Sysctls),
		check.OptionalOf(p.Child("fsGroupChangePolicy"), c.FSGroupChangePolicy, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch),
		seccomp(p.Child("seccompProfile"), c.SeccompProfile),
		appArmor(p.Child("appArmorProfile"), c.AppArmorProfile),
		check.OptionalOf(p.Child("supplementalGroupsPolicy"), c.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict),
		check.OptionalOf(p.Child("seLinuxChangePolicy"), c.SELinuxChangePolicy, corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive),
	)...)
}

func id(p *field.Path, v *int64, valid func(int64) []string) field.ErrorList {
	if v == nil {
		return nil
	}
	return check.Invalid(p, *v, valid(*v))
}

func (s *scope) security(p *field.Path, c *corev1.SecurityContext) field.ErrorList {
	if c == nil {
		return nil
	}
	errs := check.Join(
		id(p.Child("runAsUser"), c.RunAsUser, validation.IsValidUserID),
		id(p.Child("runAsGroup"), c.RunAsGroup, validation.IsValidGroupID),
		check.OptionalOf(p.Child("procMount"), c.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount),
		seccomp(p.Child("seccompProfile"), c.SeccompProfile),
		appArmor(p.Child("appArmorProfile"), c.AppArmorProfile),
	)
	if c.ProcMount != nil && *c.ProcMount == corev1.UnmaskedProcMount && s.usesHostUsers() {
		errs = append(errs, field.Invalid(p.Child("procMount"), c.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
	}
	if c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation {
		return errs
	}
	if c.Privileged != nil && *c.Privileged {
		errs = append(errs, field.Invalid(p, c, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
	}
	if c.Capabilities != nil {
		for _, capability := range c.Capabilities.Add {
			if capability == "CAP_SYS_ADMIN" {
				errs = append(errs, field.Invalid(p, c, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
			}
		}
	}
	return errs
}

func seccomp(p *field.Path, s *corev1.SeccompProfile) field.ErrorList {
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	switch s.Type {
	case corev1.SeccompProfileTypeLocalhost:
		if s.LocalhostProfile == nil {
			return check.One(field.Required(p.Child("localhostProfile"), "must be set when seccomp type is Localhost"))
		}
		return check.DescendingPath(p.Child("localhostProfile"), *s.LocalhostProfile)
	case corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined:
	case "":
		errs = append(errs, field.Required(p.Child("type"), "type is required when seccompProfile is set"))
	default:
		errs = append(errs, field.NotSupported(p.Child("type"), s.Type, []corev1.SeccompProfileType{
			corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined}))
	}
	if s.LocalhostProfile != nil {
		errs = append(errs, field.Invalid(p.Child("localhostProfile"), s, "can only be set when seccomp type is Localhost"))
	}
	return errs
}

func appArmor(p *field.Path, a *corev1.AppArmorProfile) field.ErrorList {
	if a == nil {
		return nil
	}
	lp := p.Child("localhostProfile")
	switch a.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		switch l := a.LocalhostProfile; {
		case l == nil || strings.TrimSpace(*l) == "" && *l == "":
			return check.One(field.Required(lp, "must be set when AppArmor type is Localhost"))
		case strings.TrimSpace(*l) != *l:
			return check.One(field.Invalid(lp, *l, "must not be padded with whitespace"))
		case len(*l) > 4095:
			return check.One(field.TooLong(lp, *l, 4095))
		}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if a.LocalhostProfile != nil {
			return check.One(field.Invalid(lp, a.LocalhostProfile, "can only be set when AppArmor type is Localhost"))
		}
	case "":
		return check.One(field.Required(p.Child("type"), "type is required when appArmorProfile is set"))
	default:
		return check.One(field.NotSupported(p.Child("type"), a.Type, []corev1.AppArmorProfileType{
			corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined}))
	}
	return nil
}

const sysctlFormat = `^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`

var sysctlRegexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(sysctlFormat) })

func (s *scope) sysctls(p *field.Path, sysctls []corev1.Sysctl) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, c := range sysctls {
		np := p.Index(i).Child("name")
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(np, ""))
		case len(c.Name) > 253 || !sysctlRegexp().MatchString(c.Name):
			errs = append(errs, field.Invalid(np, c.Name, fmt.Sprintf("must have at most %d characters and match regex %s", 253, sysctlRegexp())))
		case seen[c.Name]:
			errs = append(errs, field.Duplicate(np, c.Name))
		}
		seen[c.Name] = true
		name := strings.ReplaceAll(c.Name, "/", ".")
		if s.spec.HostNetwork && strings.HasPrefix(name, "net.") {
			errs = append(errs, field.Invalid(np, c.Name, "may not be specified when 'hostNetwork' is true"))
		}
		if s.spec.HostIPC && isIPC(name) {
			errs = append(errs, field.Invalid(np, c.Name, "may not be specified when 'hostIPC' is true"))
		}
	}
	return errs
}

func isIPC(sysctl string) bool {
	return sysctl == "kernel.sem" || strings.HasPrefix(sysctl, "kernel.shm") ||
		strings.HasPrefix(sysctl, "kernel.msg") || strings.HasPrefix(sysctl, "fs.mqueue.")
}

func (s *scope) usesHostUsers() bool { return s.spec.HostUsers == nil || *s.spec.HostUsers }

// hostUsers refuses the host's other namespaces to pods with their own users.
func (s *scope) hostUsers(p *field.Path) field.ErrorList {
	if s.usesHostUsers() {
		return nil
	}
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{{"hostNetwork", s.spec.HostNetwork}, {"HostPID", s.spec.HostPID}, {"HostIPC", s.spec.HostIPC}} {
		if f.set {
			errs = append(errs, field.Forbidden(p.Child(f.name), "when `pod.Spec.HostUsers` is false"))
		}
	}
	return errs
}

// os checks that nothing of another operating system is asked for.
func (s *scope) os(p *field.Path) field.ErrorList {
	if s.spec.OS == nil {
		return nil
	}
	var errs field.ErrorList
	switch s.spec.OS.Name {
	case corev1.Linux:
		const no = "windows options cannot be set for a linux pod"
		if c := s.spec.SecurityContext; c != nil && c.WindowsOptions != nil {
			errs = append(errs, field.Forbidden(p.Child("securityContext", "windowsOptions"), no))
		}
		for cp, c := range Containers(p, s.spec) {
			if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil {
				errs = append(errs, field.Forbidden(cp.Child("securityContext", "windowsOptions"), no))
			}
		}
	case corev1.Windows: // no node of ours runs it; the scheduler leaves the pod pending
	case "":
		errs = append(errs, field.Required(p.Child("os", "name"), "cannot be empty"))
	default:
		errs = append(errs, field.NotSupported(p.Child("os"), s.spec.OS.Name, []corev1.OSName{corev1.Linux, corev1.Windows}))
	}
	return errs
}
