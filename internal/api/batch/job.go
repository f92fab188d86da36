package batch

import (
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// Job of the group batch.
func Job() *api.Kind {
	halves := kit.Split(
		func(o *batchv1.Job) *batchv1.JobSpec { return &o.Spec },
		func(o *batchv1.Job) *batchv1.JobStatus { return &o.Status })
	return &api.Kind{
		Kind: "Job", Resource: "jobs",
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[batchv1.Job, batchv1.JobList](batchv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(func(o *batchv1.Job) { jobDefault(&o.Spec); jobLabels(o) }),
		PrepareCreate: func(o api.Object) {
			halves.ClearStatus(o)
			generateSelector(o.(*batchv1.Job))
		},
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(jobValidate),
		ValidateCreate: kit.To(jobGenerated),
		ValidateUpdate: kit.ToBoth(jobValidateUpdate),
		Warnings: func(obj, old api.Object) []string {
			if old != nil {
				return nil
			}
			return podspec.Warnings(field.NewPath("spec", "template"), &obj.(*batchv1.Job).Spec.Template.Spec)
		},
		DefaultOrphan: true, // batch/v1 keeps the pods of clients that do not say what to do with them
		Subresources:  []api.Subresource{{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(jobValidateStatus)}},
		Fields: map[string]func(api.Object) string{
			"status.successful": kit.To(func(o *batchv1.Job) string { return strconv.Itoa(int(o.Status.Succeeded)) }),
		},
		Columns: append(kit.Columns(
			kit.Column("Status", "Status of the job."),
			kit.Column("Completions", batchv1.JobStatus{}.SwaggerDoc()["succeeded"]),
			kit.Column("Duration", "Time required to complete the job."),
		), kit.ContainerColumns(batchv1.JobSpec{}.SwaggerDoc()["selector"])...),
		Cells: kit.Cells(jobCells),
	}
}

func jobDefault(s *batchv1.JobSpec) {
	poddefault.Spec(&s.Template.Spec)
	if s.Completions == nil && s.Parallelism == nil {
		poddefault.Set(&s.Completions, 1)
	}
	poddefault.Set(&s.Parallelism, 1)
	if s.BackoffLimitPerIndex != nil {
		poddefault.Set(&s.BackoffLimit, 1<<31-1) // each index has its own
	}
	poddefault.Set(&s.BackoffLimit, 6)
	poddefault.Set(&s.CompletionMode, batchv1.NonIndexedCompletion)
	poddefault.Set(&s.Suspend, false)
	if s.PodFailurePolicy != nil {
		poddefault.Set(&s.PodReplacementPolicy, batchv1.Failed)
		for i := range s.PodFailurePolicy.Rules {
			for j := range s.PodFailurePolicy.Rules[i].OnPodConditions {
				poddefault.SetZero(&s.PodFailurePolicy.Rules[i].OnPodConditions[j].Status, corev1.ConditionTrue)
			}
		}
	}
	poddefault.Set(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	poddefault.Set(&s.ManualSelector, false)
}

// jobLabels gives a job without labels those of its pods.
func jobLabels(o *batchv1.Job) {
	if len(o.Labels) == 0 && len(o.Spec.Template.Labels) > 0 {
		o.Labels = map[string]string{}
		for k, v := range o.Spec.Template.Labels {
			o.Labels[k] = v
		}
	}
}

// The labels by which a job's pods are found, and the names they had before labels got prefixes.
func jobOwnLabels(o *batchv1.Job) map[string]string {
	return map[string]string{
		batchv1.ControllerUidLabel: string(o.UID), "controller-uid": string(o.UID),
		batchv1.JobNameLabel: o.Name, "job-name": o.Name,
	}
}

// generateSelector makes a selector that no other job has. What the user set stays, for jobGenerated to refuse.
func generateSelector(o *batchv1.Job) {
	if m := o.Spec.ManualSelector; m != nil && *m {
		return
	}
	if o.Spec.Template.Labels == nil {
		o.Spec.Template.Labels = map[string]string{}
	}
	for k, v := range jobOwnLabels(o) {
		if _, ok := o.Spec.Template.Labels[k]; !ok {
			o.Spec.Template.Labels[k] = v
		}
	}
	if o.Spec.Selector == nil {
		o.Spec.Selector = &metav1.LabelSelector{}
	}
	if o.Spec.Selector.MatchLabels == nil {
		o.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, ok := o.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel]; !ok {
		o.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(o.UID)
	}
}

func jobIs(o *batchv1.Job, t batchv1.JobConditionType) bool {
	for i := range o.Status.Conditions {
		if o.Status.Conditions[i].Type == t && o.Status.Conditions[i].Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func jobCells(o *batchv1.Job, now time.Time) []any {
	completions := fmt.Sprintf("%d/1", o.Status.Succeeded)
	switch p := kit.Deref(o.Spec.Parallelism, 0); {
	case o.Spec.Completions != nil:
		completions = fmt.Sprintf("%d/%d", o.Status.Succeeded, *o.Spec.Completions)
	case p > 1:
		completions = fmt.Sprintf("%d/1 of %d", o.Status.Succeeded, p)
	}
	took := ""
	if start := o.Status.StartTime; start != nil {
		end := now
		if o.Status.CompletionTime != nil {
			end = o.Status.CompletionTime.Time
		}
		took = duration.HumanDuration(end.Sub(start.Time))
	}
	names, images := kit.Images(o.Spec.Template.Spec.Containers)
	return []any{o.Name, jobStatus(o), completions, took, kit.Age(o, now), names, images, metav1.FormatLabelSelector(o.Spec.Selector)}
}

func jobStatus(o *batchv1.Job) string {
	switch {
	case jobIs(o, batchv1.JobComplete):
		return "Complete"
	case jobIs(o, batchv1.JobFailed):
		return "Failed"
	case o.DeletionTimestamp != nil:
		return "Terminating"
	case jobIs(o, batchv1.JobSuspended):
		return "Suspended"
	case jobIs(o, batchv1.JobFailureTarget):
		return "FailureTarget"
	}
	return "Running"
}
