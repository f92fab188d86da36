package statefulset

import (
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

// parent splits a pod's name into its set's and its ordinal; the ordinal is -1 when the name is of another form.
func parent(pod string) (set string, ordinal int) {
	i := strings.LastIndexByte(pod, '-')
	if i < 0 || i == len(pod)-1 || strings.Trim(pod[i+1:], "0123456789") != "" {
		return "", -1
	}
	n, err := strconv.ParseInt(pod[i+1:], 10, 32)
	if err != nil {
		return pod[:i], -1
	}
	return pod[:i], int(n)
}

func ordinal(p *corev1.Pod) int {
	_, n := parent(p.Name)
	return n
}

func podName(set *appsv1.StatefulSet, n int) string { return set.Name + "-" + strconv.Itoa(n) }

// first is the lowest ordinal.
func first(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals != nil {
		return int(set.Spec.Ordinals.Start)
	}
	return 0
}

func inRange(set *appsv1.StatefulSet, n int) bool {
	return n >= first(set) && n < first(set)+int(*set.Spec.Replicas)
}

func revisionOf(p *corev1.Pod) string { return p.Labels[appsv1.StatefulSetRevisionLabel] }

// newPod is the pod of an ordinal, from the template of a revision.
func newPod(set *appsv1.StatefulSet, t *corev1.PodTemplateSpec, revision string, n int) *corev1.Pod {
	p := controller.PodFrom(t, set.Namespace, controller.RefTo(set, kind))
	p.Name = podName(set, n)
	identify(p)
	p.Labels[appsv1.StatefulSetRevisionLabel] = revision
	p.Spec.Hostname, p.Spec.Subdomain = p.Name, set.Spec.ServiceName
	p.Spec.Volumes = volumes(set, p.Spec.Volumes, n)
	return p
}

// identify gives p the labels that say who it is.
func identify(p *corev1.Pod) {
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[appsv1.StatefulSetPodNameLabel] = p.Name
	p.Labels[appsv1.PodIndexLabel] = strconv.Itoa(ordinal(p))
}

func identified(p *corev1.Pod) bool { return p.Labels[appsv1.StatefulSetPodNameLabel] == p.Name }

// volumes are those of the claims, ahead of the template's others.
func volumes(set *appsv1.StatefulSet, have []corev1.Volume, n int) []corev1.Volume {
	var out []corev1.Volume
	claimed := map[string]bool{}
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		claimed[t.Name] = true
		out = append(out, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, t, n)},
		}})
	}
	for _, v := range have {
		if !claimed[v.Name] {
			out = append(out, v)
		}
	}
	return out
}

func claimName(set *appsv1.StatefulSet, t *corev1.PersistentVolumeClaim, n int) string {
	return t.Name + "-" + podName(set, n)
}

// newClaim is the claim of a template for an ordinal.
func newClaim(set *appsv1.StatefulSet, t *corev1.PersistentVolumeClaim, n int) *corev1.PersistentVolumeClaim {
	c := t.DeepCopy()
	c.Namespace, c.Name = set.Namespace, claimName(set, t, n)
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, set.Spec.Selector.MatchLabels)
	return c
}
