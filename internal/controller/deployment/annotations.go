package deployment

import (
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations that kubectl rollout reads.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
	rollbackAnnotation = "deprecated.deployment.rollback.to"
	historyMax         = 2000 // bytes
)

// ours do not pass from a Deployment to its sets.
func ours(name string) bool {
	switch name {
	case corev1.LastAppliedConfigAnnotation, revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation, rollbackAnnotation:
		return true
	}
	return false
}

func number(o metav1.Object, name string) (int32, bool) {
	n, err := strconv.ParseInt(o.GetAnnotations()[name], 10, 32)
	return int32(n), err == nil
}

func revision(o metav1.Object) int64 {
	n, _ := strconv.ParseInt(o.GetAnnotations()[revisionAnnotation], 10, 64)
	return n
}

// nextRevision is one more than any old set has.
func nextRevision(old []*appsv1.ReplicaSet) int64 {
	n := int64(0)
	for _, rs := range old {
		n = max(n, revision(rs))
	}
	return n + 1
}

// annotated is rs' annotations once it is the set of d's template with the revision.
func annotated(d *appsv1.Deployment, rs *appsv1.ReplicaSet, next int64) map[string]string {
	out := maps.Clone(rs.Annotations)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range d.Annotations {
		if !ours(k) {
			out[k] = v
		}
	}
	if had := out[revisionAnnotation]; revision(rs) < next {
		out[revisionAnnotation] = strconv.FormatInt(next, 10)
		if had != "" {
			out[historyAnnotation] = history(out[historyAnnotation], had)
		}
	}
	return out
}

func history(have, add string) string {
	if have == "" {
		return add
	}
	all := strings.Split(have, ",")
	for len(all) > 0 && len(strings.Join(all, ","))+len(add)+1 > historyMax {
		all = all[1:]
	}
	return strings.Join(append(all, add), ",")
}

// sized notes in a set's annotations what scaling in proportion starts from.
func sized(d *appsv1.Deployment, in map[string]string) map[string]string {
	surge, _ := fences(d)
	out := maps.Clone(in)
	if out == nil {
		out = map[string]string{}
	}
	out[desiredAnnotation] = strconv.Itoa(int(*d.Spec.Replicas))
	out[maxAnnotation] = strconv.Itoa(int(*d.Spec.Replicas + surge))
	return out
}
