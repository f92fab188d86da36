package namespace

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions are upstream's five of a namespace under deletion.
func conditions(have []corev1.NamespaceCondition, left []remainder, failure error, now time.Time) []corev1.NamespaceCondition {
	out := slices.Clone(have)
	set := func(t corev1.NamespaceConditionType, is bool, trueReason, trueMessage, falseReason, falseMessage string) {
		c := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: falseReason, Message: falseMessage, LastTransitionTime: metav1.NewTime(now)}
		if is {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, trueReason, trueMessage
		}
		i := slices.IndexFunc(out, func(c corev1.NamespaceCondition) bool { return c.Type == t })
		switch {
		case i < 0:
			out = append(out, c)
		case out[i].Status != c.Status || out[i].Reason != c.Reason || out[i].Message != c.Message:
			if out[i].Status == c.Status {
				c.LastTransitionTime = out[i].LastTransitionTime
			}
			out[i] = c
		}
	}
	message := ""
	if failure != nil {
		message = "Failed to delete all resource types, " + failure.Error()
	}
	resources, finalizers := summary(left)
	set(corev1.NamespaceDeletionDiscoveryFailure, false, "", "", "ResourcesDiscovered", "All resources successfully discovered")
	set(corev1.NamespaceDeletionGVParsingFailure, false, "", "", "ParsedGroupVersions", "All legacy kube types successfully parsed")
	set(corev1.NamespaceDeletionContentFailure, failure != nil, "ContentDeletionFailed", message, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	set(corev1.NamespaceContentRemaining, len(resources) > 0, "SomeResourcesRemain", "Some resources are remaining: "+strings.Join(resources, ", "), "ContentRemoved", "All content successfully removed")
	set(corev1.NamespaceFinalizersRemaining, len(finalizers) > 0, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+strings.Join(finalizers, ", "), "ContentHasNoFinalizers", "All content-preserving finalizers finished")
	return out
}

func summary(left []remainder) (resources, finalizers []string) {
	count := map[string]int{}
	for _, r := range left {
		gr := r.kind.GroupResource()
		resources = append(resources, fmt.Sprintf("%s.%s has %d resource instances", gr.Resource, gr.Group, len(r.items)))
		for _, o := range r.items {
			for _, f := range o.GetFinalizers() {
				count[f]++
			}
		}
	}
	for f, n := range count {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", f, n))
	}
	sort.Strings(resources)
	sort.Strings(finalizers)
	return resources, finalizers
}
