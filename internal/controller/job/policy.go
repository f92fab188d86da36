package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// onFailure is what j's podFailurePolicy says about a failed pod, and why.
func onFailure(j *batchv1.Job, p *corev1.Pod) (batchv1.PodFailurePolicyAction, string) {
	if j.Spec.PodFailurePolicy == nil || p.Status.Phase != corev1.PodFailed {
		return batchv1.PodFailurePolicyActionCount, ""
	}
	for i, r := range j.Spec.PodFailurePolicy.Rules {
		if r.OnExitCodes != nil {
			if c := exits(r.OnExitCodes, p); c != nil {
				return r.Action, fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d matching %s rule at index %d", c.Name, p.Namespace, p.Name, c.State.Terminated.ExitCode, r.Action, i)
			}
			continue
		}
		for _, want := range r.OnPodConditions {
			for _, c := range p.Status.Conditions {
				if c.Type == want.Type && c.Status == want.Status {
					return r.Action, fmt.Sprintf("Pod %s/%s has condition %v matching %s rule at index %d", p.Namespace, p.Name, c.Type, r.Action, i)
				}
			}
		}
	}
	return batchv1.PodFailurePolicyActionCount, ""
}

func exits(r *batchv1.PodFailurePolicyOnExitCodesRequirement, p *corev1.Pod) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			c := &list[i]
			t := c.State.Terminated
			if t == nil || t.ExitCode == 0 || r.ContainerName != nil && *r.ContainerName != c.Name {
				continue
			}
			if slices.Contains(r.Values, t.ExitCode) == (r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
				return c
			}
		}
	}
	return nil
}

// succeeds is whether a rule of j's successPolicy is met.
func succeeds(j *batchv1.Job, done indexes) (string, bool) {
	if j.Spec.SuccessPolicy == nil {
		return "", false
	}
	for i, r := range j.Spec.SuccessPolicy.Rules {
		matching := len(done)
		total := 0
		if r.SucceededIndexes != nil {
			want := parseIndexes(*r.SucceededIndexes)
			total, matching = len(want), 0
			for i := range want {
				if done[i] {
					matching++
				}
			}
		}
		if r.SucceededCount != nil && matching >= int(*r.SucceededCount) || r.SucceededCount == nil && total > 0 && matching == total {
			return fmt.Sprintf("Matched rules at index %d", i), true
		}
	}
	return "", false
}
