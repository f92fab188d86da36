package controller

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/dump"
	"k8s.io/apimachinery/pkg/util/rand"
)

// PodActive is whether p runs or may still run, and nobody deleted it.
func PodActive(p *corev1.Pod) bool { return !PodFinished(p) && p.DeletionTimestamp == nil }

// PodFinished is whether p has ended for good.
func PodFinished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// PodCondition finds a condition; nil when there is none.
func PodCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// PodReady is whether p's condition Ready is true.
func PodReady(p *corev1.Pod) bool {
	c := PodCondition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// PodAvailable is whether p has been ready for minReady; if it is ready but not for so long, also when it will be.
func PodAvailable(p *corev1.Pod, minReady time.Duration, now time.Time) (bool, time.Duration) {
	if !PodReady(p) {
		return false, 0
	}
	since := PodCondition(p, corev1.PodReady).LastTransitionTime
	if minReady == 0 || !since.IsZero() && !since.Add(minReady).After(now) {
		return true, 0
	}
	if since.IsZero() {
		return false, 0
	}
	return false, since.Add(minReady).Sub(now)
}

// Names are at most 63 long, of which five are random.
const nameBase = 58

// Name makes a name as generateName does, but here, so that it is known before the call.
func Name(prefix string) string {
	if len(prefix) > nameBase {
		prefix = prefix[:nameBase]
	}
	return prefix + rand.String(5)
}

// PodFrom makes the pod that template asks for, without a name.
func PodFrom(t *corev1.PodTemplateSpec, namespace string, owner metav1.OwnerReference) *corev1.Pod {
	prefix := owner.Name + "-"
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: prefix,
			Labels: maps.Clone(t.Labels), Annotations: maps.Clone(t.Annotations), Finalizers: slices.Clone(t.Finalizers),
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: *t.Spec.DeepCopy(),
	}
}

// HashTemplate is upstream's pod-template-hash.
func HashTemplate(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(*t))
	if collisions != nil {
		var b [8]byte
		binary.LittleEndian.PutUint32(b[:], uint32(*collisions))
		h.Write(b[:])
	}
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}
