package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// podCreate gives a new pod its first status.
func podCreate(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: podspec.QOS(p)}
	if len(p.Spec.SchedulingGates) > 0 {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
			Message: "Scheduling is blocked due to non-empty scheduling gates",
		}}
	}
	mergeLabelKeys(p)
}

func podUpdate(p, old *corev1.Pod) { p.Status = old.Status }

// mergeLabelKeys turns matchLabelKeys and mismatchLabelKeys of affinity (KEP-3633) and topology
// spread (KEP-3243) into requirements on the values this pod has.
func mergeLabelKeys(p *corev1.Pod) {
	if a := p.Spec.Affinity; a != nil {
		merge := func(t *corev1.PodAffinityTerm) {
			if t.LabelSelector != nil {
				t.LabelSelector = withKeys(t.LabelSelector, p.Labels, t.MatchLabelKeys, metav1.LabelSelectorOpIn)
				t.LabelSelector = withKeys(t.LabelSelector, p.Labels, t.MismatchLabelKeys, metav1.LabelSelectorOpNotIn)
			}
		}
		both := func(must []corev1.PodAffinityTerm, should []corev1.WeightedPodAffinityTerm) {
			for i := range must {
				merge(&must[i])
			}
			for i := range should {
				merge(&should[i].PodAffinityTerm)
			}
		}
		if t := a.PodAffinity; t != nil {
			both(t.RequiredDuringSchedulingIgnoredDuringExecution, t.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if t := a.PodAntiAffinity; t != nil {
			both(t.RequiredDuringSchedulingIgnoredDuringExecution, t.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	for i := range p.Spec.TopologySpreadConstraints {
		if c := &p.Spec.TopologySpreadConstraints[i]; c.LabelSelector != nil {
			c.LabelSelector = withKeys(c.LabelSelector, p.Labels, c.MatchLabelKeys, metav1.LabelSelectorOpIn)
		}
	}
}

func withKeys(s *metav1.LabelSelector, labels map[string]string, keys []string, op metav1.LabelSelectorOperator) *metav1.LabelSelector {
	for _, k := range keys {
		if v, ok := labels[k]; ok {
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: k, Operator: op, Values: []string{v}})
		}
	}
	return s
}

// podNew checks what only an update may bring.
func podNew(p *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(path.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(path.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	return errs
}

func podWarnings(o, old api.Object) []string {
	if old != nil {
		return nil // updates are frequent and no person reads their warnings
	}
	p := o.(*corev1.Pod)
	var out []string
	if msgs := validation.IsDNS1123Label(p.Name); len(msgs) > 0 {
		out = append(out, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
	}
	return append(out, podspec.Warnings(nil, &p.Spec)...)
}

// podStatusPrepare keeps everything but status, labels and annotations.
func podStatusPrepare(p, old *corev1.Pod) {
	p.Spec = old.Spec
	p.DeletionTimestamp = old.DeletionTimestamp
	p.OwnerReferences = old.OwnerReferences
	if p.Status.QOSClass == "" {
		p.Status.QOSClass = old.Status.QOSClass
	}
	if p.Status.ObservedGeneration == 0 {
		p.Status.ObservedGeneration = old.Status.ObservedGeneration
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.ObservedGeneration != 0 {
			continue
		}
		if j := slices.IndexFunc(old.Status.Conditions, func(o corev1.PodCondition) bool { return o.Type == c.Type }); j >= 0 {
			c.ObservedGeneration = old.Status.Conditions[j].ObservedGeneration
		}
	}
}

func podEphemeralPrepare(p, old *corev1.Pod) {
	containers := p.Spec.EphemeralContainers
	p.Spec, p.Status = old.Spec, old.Status
	metav1.ResetObjectMetaForStatus(p, old)
	p.Spec.EphemeralContainers = containers
}

func podEphemeralValidate(p, old *corev1.Pod) field.ErrorList {
	return append(podspec.Pod(p), podspec.EphemeralUpdate(p, old)...)
}

// podResizePrepare keeps everything but resources and resize policies. Containers in another order are left
// for the validation to refuse.
func podResizePrepare(p, old *corev1.Pod) {
	containers, ok := onlyResources(p.Spec.Containers, old.Spec.Containers)
	inits, ok2 := onlyResources(p.Spec.InitContainers, old.Spec.InitContainers)
	if !ok || !ok2 {
		return
	}
	whole := p.Spec.Resources
	p.Spec, p.Status = old.Spec, old.Status
	metav1.ResetObjectMetaForStatus(p, old)
	p.Spec.Containers, p.Spec.InitContainers, p.Spec.Resources = containers, inits, whole
}

func onlyResources(now, old []corev1.Container) ([]corev1.Container, bool) {
	if len(now) != len(old) {
		return nil, false
	}
	out := slices.Clone(old)
	for i := range now {
		if now[i].Name != old[i].Name {
			return nil, false
		}
		out[i].Resources, out[i].ResizePolicy = now[i].Resources, now[i].ResizePolicy
	}
	return out, true
}

func podResizeValidate(p, old *corev1.Pod) field.ErrorList {
	return append(podspec.Pod(p), podspec.Resize(p, old)...)
}
