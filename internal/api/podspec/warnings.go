package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Warnings tells what is allowed and most likely a mistake. p is the path of what embeds the spec; nil for a pod.
func Warnings(p *field.Path, spec *corev1.PodSpec) []string {
	var out []string
	sp := field.NewPath("spec")
	if p != nil {
		sp = p.Child("spec")
	}
	warn := func(p *field.Path, format string, args ...any) {
		out = append(out, p.String()+": "+fmt.Sprintf(format, args...))
	}
	for old, now := range map[string]string{
		"beta.kubernetes.io/arch": "kubernetes.io/arch", "beta.kubernetes.io/os": "kubernetes.io/os",
		"failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone":   "topology.kubernetes.io/zone",
		"beta.kubernetes.io/instance-type":         "node.kubernetes.io/instance-type",
	} {
		if _, ok := spec.NodeSelector[old]; ok {
			warn(sp.Child("nodeSelector").Key(old), "deprecated since v1.14; use %q instead", now)
		}
	}
	for i := range spec.Volumes {
		v, vp := &spec.Volumes[i], sp.Child("volumes").Index(i)
		if v.GitRepo != nil {
			warn(vp.Child("gitRepo"), "deprecated in v1.11, and disabled by default in v1.33+")
		}
		if v.Glusterfs != nil {
			warn(vp.Child("glusterfs"), "deprecated in v1.25, this feature will be removed in future releases")
		}
	}
	for i, s := range spec.ImagePullSecrets {
		if s.Name == "" {
			warn(sp.Child("imagePullSecrets").Index(i).Child("name"), "invalid empty name %q", "")
		}
	}
	for cp, c := range Containers(sp, spec) {
		seen := map[string]int{}
		for i, e := range c.Env {
			if j, ok := seen[e.Name]; ok {
				warn(cp.Child("env").Index(i), "hides previous definition of %q, which may be dropped when using apply", c.Env[j].Name)
			}
			seen[e.Name] = i
		}
		for _, n := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			for _, l := range []struct {
				name string
				list corev1.ResourceList
			}{{"limits", c.Resources.Limits}, {"requests", c.Resources.Requests}} {
				if q, ok := l.list[n]; ok && q.MilliValue()%1000 != 0 {
					warn(cp.Child("resources", l.name).Key(string(n)), "fractional byte value %q is invalid, must be an integer", q.String())
				}
			}
		}
	}
	return out
}
