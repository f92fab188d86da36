package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Security merges the pod's and the container's security context; the container's fields win.
func Security(p *corev1.Pod, c *corev1.Container, seccompDir string) engine.Security {
	pod, own := p.Spec.SecurityContext, c.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	s := engine.Security{
		Privileged:      is(own.Privileged),
		ReadOnlyRoot:    is(own.ReadOnlyRootFilesystem),
		NoNewPrivileges: own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation,
		UnmaskedProc:    own.ProcMount != nil && *own.ProcMount == corev1.UnmaskedProcMount,
		Seccomp:         seccomp(first(own.SeccompProfile, pod.SeccompProfile), seccompDir),
		AppArmor:        AppArmor(p, c),
		SELinuxLabel:    selinux(first(own.SELinuxOptions, pod.SELinuxOptions)),
		Group:           first(own.RunAsGroup, pod.RunAsGroup),
	}
	if u := first(own.RunAsUser, pod.RunAsUser); u != nil {
		s.User = itoa(*u)
	}
	if own.Capabilities != nil {
		s.AddCapabilities, s.DropCapabilities = words(own.Capabilities.Add), words(own.Capabilities.Drop)
	}
	if pod.FSGroup != nil {
		s.SupplementalGroups = append(s.SupplementalGroups, *pod.FSGroup)
	}
	s.SupplementalGroups = append(s.SupplementalGroups, pod.SupplementalGroups...)
	s.StrictGroups = pod.SupplementalGroupsPolicy != nil && *pod.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
	return s
}

func is(b *bool) bool { return b != nil && *b }

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func words(l []corev1.Capability) (out []string) {
	for _, c := range l {
		out = append(out, string(c))
	}
	return out
}

// seccomp is RuntimeDefault unless something else is said: stricter than upstream's default, as a reviewer would choose.
func seccomp(p *corev1.SeccompProfile, dir string) string {
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return "runtime/default"
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile != nil:
		return "localhost/" + filepath.Join(dir, filepath.Join("/", *p.LocalhostProfile))
	}
	return "unconfined"
}

// AppArmor is the profile of a container in the engine's words: its own field, the pod's, or the annotation of before v1.30.
// RuntimeDefault is "": the engine has no profile of its own.
func AppArmor(p *corev1.Pod, c *corev1.Container) string {
	profile := (*corev1.AppArmorProfile)(nil)
	if p.Spec.SecurityContext != nil {
		profile = p.Spec.SecurityContext.AppArmorProfile
	}
	if c.SecurityContext != nil {
		profile = first(c.SecurityContext.AppArmorProfile, profile)
	}
	if profile == nil {
		old := p.Annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+c.Name]
		if name, local := strings.CutPrefix(old, corev1.DeprecatedAppArmorBetaProfileNamePrefix); local {
			return name
		}
		if old == corev1.DeprecatedAppArmorBetaProfileNameUnconfined {
			return "unconfined"
		}
		return ""
	}
	switch {
	case profile.Type == corev1.AppArmorProfileTypeLocalhost && profile.LocalhostProfile != nil:
		return *profile.LocalhostProfile
	case profile.Type == corev1.AppArmorProfileTypeUnconfined:
		return "unconfined"
	}
	return ""
}

func selinux(o *corev1.SELinuxOptions) string {
	if o == nil || *o == (corev1.SELinuxOptions{}) {
		return ""
	}
	return o.User + ":" + o.Role + ":" + o.Type + ":" + o.Level
}

// NonRoot checks runAsNonRoot against what the container would run as; imageUser is the image's word.
func NonRoot(p *corev1.Pod, c *corev1.Container, imageUser string) error {
	pod, own := p.Spec.SecurityContext, c.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	if !is(first(own.RunAsNonRoot, pod.RunAsNonRoot)) {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", p.Name+"_"+p.Namespace+"("+string(p.UID)+")", c.Name)
	if u := first(own.RunAsUser, pod.RunAsUser); u != nil {
		if *u == 0 {
			return errors.New("container's runAsUser breaks non-root policy " + where)
		}
		return nil
	}
	user := imageUser
	for i, r := range user {
		if r == ':' {
			user = user[:i]
			break
		}
	}
	if user == "" {
		return errors.New("container has runAsNonRoot and image will run as root " + where)
	}
	uid, err := strconv.ParseInt(user, 10, 64)
	if err != nil {
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", user, where)
	}
	if uid == 0 {
		return errors.New("container has runAsNonRoot and image will run as root " + where)
	}
	return nil
}
