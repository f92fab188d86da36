package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// Limits of indexed jobs, which keep the controller's work and the status small (KEP-3850).
const (
	maxParallelIndexed = 100_000
	manyCompletions    = 100_000
	maxParallelMany    = 10_000
	maxFailedMany      = 10_000
)

func jobValidate(o *batchv1.Job) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	errs := jobSpec(p, s)
	if s.Selector == nil {
		errs = append(errs, field.Required(p.Child("selector"), ""))
	} else {
		errs = append(errs, check.Selector(p.Child("selector"), s.Selector)...)
	}
	if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil && !selector.Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(p.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	if indexed(s) && s.Completions != nil && *s.Completions > 0 {
		last := fmt.Sprintf("%s-%d", o.Name, *s.Completions-1)
		if len(validation.IsDNS1123Label(last)) > 0 {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, fmt.Sprintf("will not able to create pod with invalid DNS label: %s", last)))
		}
	}
	return errs
}

// jobGenerated checks that what generateSelector made is what is there.
func jobGenerated(o *batchv1.Job) field.ErrorList {
	if m := o.Spec.ManualSelector; m != nil && *m || o.Spec.Selector == nil {
		return nil
	}
	var errs field.ErrorList
	own := jobOwnLabels(o)
	p := field.NewPath("spec", "template", "metadata", "labels")
	for _, k := range []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
		if got := o.Spec.Template.Labels[k]; got != own[k] {
			errs = append(errs, field.Invalid(p, o.Spec.Template.Labels, fmt.Sprintf("must be '%s'", own[k])))
		}
	}
	if selector, err := metav1.LabelSelectorAsSelector(o.Spec.Selector); err == nil && !selector.Matches(labels.Set(own)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), o.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func indexed(s *batchv1.JobSpec) bool {
	return s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion
}

// jobSpec checks what jobs and templates of jobs have in common.
func jobSpec(p *field.Path, s *batchv1.JobSpec) field.ErrorList {
	errs := check.Join(
		check.OptionalNonNegative(p.Child("parallelism"), s.Parallelism),
		check.OptionalNonNegative(p.Child("completions"), s.Completions),
		check.OptionalNonNegative(p.Child("activeDeadlineSeconds"), s.ActiveDeadlineSeconds),
		check.OptionalNonNegative(p.Child("backoffLimit"), s.BackoffLimit),
		check.OptionalNonNegative(p.Child("ttlSecondsAfterFinished"), s.TTLSecondsAfterFinished),
		check.OptionalNonNegative(p.Child("backoffLimitPerIndex"), s.BackoffLimitPerIndex),
		check.OptionalNonNegative(p.Child("maxFailedIndexes"), s.MaxFailedIndexes),
		check.OptionalOf(p.Child("completionMode"), s.CompletionMode, batchv1.NonIndexedCompletion, batchv1.IndexedCompletion),
	)
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(p.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	if m := s.ManagedBy; m != nil {
		errs = append(errs, validation.IsDomainPrefixedPath(p.Child("managedBy"), *m)...)
		if len(*m) > 63 {
			errs = append(errs, field.TooLong(p.Child("managedBy"), *m, 63))
		}
	}
	if indexed(s) {
		errs = append(errs, indexedSpec(p, s)...)
	} else {
		for _, f := range []struct {
			name string
			v    *int32
		}{{"backoffLimitPerIndex", s.BackoffLimitPerIndex}, {"maxFailedIndexes", s.MaxFailedIndexes}} {
			if f.v != nil {
				errs = append(errs, field.Invalid(p.Child(f.name), *f.v, "requires indexed completion mode"))
			}
		}
		if s.SuccessPolicy != nil {
			errs = append(errs, field.Invalid(p.Child("successPolicy"), *s.SuccessPolicy, "requires indexed completion mode"))
		}
	}
	errs = append(errs, failurePolicy(p.Child("podFailurePolicy"), s)...)
	if r := s.PodReplacementPolicy; r != nil {
		if s.PodFailurePolicy != nil {
			errs = append(errs, check.Supported(p.Child("podReplacementPolicy"), *r, batchv1.Failed)...)
		} else {
			errs = append(errs, check.Supported(p.Child("podReplacementPolicy"), *r, batchv1.Failed, batchv1.TerminatingOrFailed)...)
		}
	}
	errs = append(errs, podspec.Template(p.Child("template"), &s.Template)...)
	rp := p.Child("template", "spec", "restartPolicy")
	switch r := s.Template.Spec.RestartPolicy; {
	case r == corev1.RestartPolicyAlways || r == "":
		errs = append(errs, field.Required(rp, fmt.Sprintf("valid values: %q, %q", corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)))
	case r != corev1.RestartPolicyOnFailure && r != corev1.RestartPolicyNever:
		errs = append(errs, field.NotSupported(rp, r, []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}))
	case s.PodFailurePolicy != nil && r != corev1.RestartPolicyNever:
		errs = append(errs, field.Invalid(rp, r, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever)))
	}
	return errs
}

func indexedSpec(p *field.Path, s *batchv1.JobSpec) field.ErrorList {
	var errs field.ErrorList
	above := func(name string, v *int32, limit int32, when string) {
		if v != nil && *v > limit {
			errs = append(errs, field.Invalid(p.Child(name), *v, fmt.Sprintf("must be less than or equal to %d%s", limit, when)))
		}
	}
	if s.Completions == nil {
		return append(errs, field.Required(p.Child("completions"), fmt.Sprintf("when completion mode is %s", batchv1.IndexedCompletion)))
	}
	above("parallelism", s.Parallelism, maxParallelIndexed, fmt.Sprintf(" when completion mode is %s", batchv1.IndexedCompletion))
	if s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
		errs = append(errs, field.Invalid(p.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "must be less than or equal to completions"))
	}
	above("maxFailedIndexes", s.MaxFailedIndexes, manyCompletions, "")
	if *s.Completions > manyCompletions && s.BackoffLimitPerIndex != nil {
		if s.MaxFailedIndexes == nil {
			errs = append(errs, field.Required(p.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
		}
		when := fmt.Sprintf(" when completions are above %d and used with backoff limit per index", manyCompletions)
		above("parallelism", s.Parallelism, maxParallelMany, when)
		above("maxFailedIndexes", s.MaxFailedIndexes, maxFailedMany, when)
	}
	return append(errs, successPolicy(p.Child("successPolicy", "rules"), s)...)
}

func jobValidateUpdate(o, old *batchv1.Job) field.ErrorList {
	s, was, p := &o.Spec, &old.Spec, field.NewPath("spec")
	errs := check.Join(
		completionsUpdate(p.Child("completions"), s, was),
		check.Immutable(p.Child("selector"), s.Selector, was.Selector),
		templateUpdate(p.Child("template"), o, old),
		check.Immutable(p.Child("completionMode"), s.CompletionMode, was.CompletionMode),
		check.Immutable(p.Child("podFailurePolicy"), s.PodFailurePolicy, was.PodFailurePolicy),
		check.Immutable(p.Child("backoffLimitPerIndex"), s.BackoffLimitPerIndex, was.BackoffLimitPerIndex),
		check.Immutable(p.Child("managedBy"), s.ManagedBy, was.ManagedBy),
		check.Immutable(p.Child("successPolicy"), s.SuccessPolicy, was.SuccessPolicy),
	)
	return errs
}

// completionsUpdate: an indexed job grows and shrinks, together with its parallelism (KEP-3715).
func completionsUpdate(p *field.Path, s, was *batchv1.JobSpec) field.ErrorList {
	if !indexed(s) {
		return check.Immutable(p, s.Completions, was.Completions)
	}
	if equality.Semantic.DeepEqual(s.Completions, was.Completions) || s.Completions == nil || s.Parallelism == nil || *s.Completions == *s.Parallelism {
		return nil
	}
	return check.One(field.Invalid(p, s.Completions, "can only be modified in tandem with spec.parallelism"))
}

// templateUpdate: of a job that is suspended and never ran, where its pods go and what they use may still change
// (KEP-2926, KEP-5440).
func templateUpdate(p *field.Path, o, old *batchv1.Job) field.ErrorList {
	t, was := &o.Spec.Template, &old.Spec.Template
	if old.Spec.Suspend != nil && *old.Spec.Suspend && old.Status.StartTime == nil {
		was = was.DeepCopy()
		switch a, b := t.Spec.Affinity, was.Spec.Affinity; {
		case a != nil && b == nil:
			was.Spec.Affinity = &corev1.Affinity{NodeAffinity: a.NodeAffinity}
		case a != nil:
			b.NodeAffinity = a.NodeAffinity
		case b != nil:
			if b.NodeAffinity = nil; *b == (corev1.Affinity{}) {
				was.Spec.Affinity = nil
			}
		}
		was.Spec.NodeSelector, was.Spec.Tolerations, was.Spec.SchedulingGates = t.Spec.NodeSelector, t.Spec.Tolerations, t.Spec.SchedulingGates
		was.Annotations, was.Labels = t.Annotations, t.Labels
		for _, l := range []struct{ now, old []corev1.Container }{
			{t.Spec.Containers, was.Spec.Containers}, {t.Spec.InitContainers, was.Spec.InitContainers},
		} {
			for i := range min(len(l.now), len(l.old)) {
				l.old[i].Resources = l.now[i].Resources
			}
		}
	}
	return check.Immutable(p, t, was)
}

func containerNames(s *batchv1.JobSpec) []string {
	var out []string
	for _, c := range slices.Concat(s.Template.Spec.Containers, s.Template.Spec.InitContainers) {
		out = append(out, c.Name)
	}
	return out
}
