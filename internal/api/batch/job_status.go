package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// jobValidateStatus keeps a job's end an end: controllers of others build on it.
func jobValidateStatus(o, old *batchv1.Job) field.ErrorList {
	s, was, p := &o.Status, &old.Status, field.NewPath("status")
	errs := check.Join(
		check.NonNegative(p.Child("active"), s.Active), check.NonNegative(p.Child("succeeded"), s.Succeeded),
		check.NonNegative(p.Child("failed"), s.Failed), check.OptionalNonNegative(p.Child("ready"), s.Ready),
		check.OptionalNonNegative(p.Child("terminating"), s.Terminating),
	)
	complete, failed, met, target := jobIs(o, batchv1.JobComplete), jobIs(o, batchv1.JobFailed), jobIs(o, batchv1.JobSuccessCriteriaMet), jobIs(o, batchv1.JobFailureTarget)
	conditions := func(bad bool, message string) {
		if bad {
			errs = append(errs, field.Invalid(p.Child("conditions"), field.OmitValueType{}, message))
		}
	}
	conditions(complete && failed, "cannot set Complete=True and Failed=true conditions")
	conditions(complete && target, "cannot set Complete=True and FailureTarget=true conditions")
	conditions(failed && !target && !jobIs(old, batchv1.JobFailed), "cannot set Failed=True condition without the FailureTarget=true condition")
	conditions(complete && !met && !jobIs(old, batchv1.JobComplete), "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
	conditions(met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
	conditions(met && target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		conditions(jobIs(old, t) && !jobIs(o, t), fmt.Sprintf("cannot disable the terminal %s=True condition", t))
	}
	conditions(jobIs(old, batchv1.JobSuccessCriteriaMet) && !met, "cannot disable the SuccessCriteriaMet=True condition")

	finished := complete || failed
	bad := func(is bool, e *field.Error) {
		if is {
			errs = append(errs, e)
		}
	}
	bad(s.CompletionTime != nil && !complete, field.Invalid(p.Child("completionTime"), s.CompletionTime, "cannot set completionTime when there is no Complete=True condition"))
	bad(s.CompletionTime == nil && complete, field.Required(p.Child("completionTime"), "completionTime is required for Complete jobs"))
	bad(s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime), field.Invalid(p.Child("completionTime"), s.CompletionTime, "completionTime cannot be set before startTime"))
	bad(finished && s.Active > 0, field.Invalid(p.Child("active"), s.Active, "active>0 is invalid for finished job"))
	bad(finished && s.StartTime == nil, field.Required(p.Child("startTime"), "startTime is required for finished job"))
	bad(s.Ready != nil && *s.Ready > s.Active, field.Invalid(p.Child("ready"), s.Ready, "cannot set more ready pods than active"))
	bad(s.Failed < was.Failed, field.Invalid(p.Child("failed"), s.Failed, "cannot decrease the failed counter"))
	bad(s.Succeeded < was.Succeeded, field.Invalid(p.Child("succeeded"), s.Succeeded, "cannot decrease the succeeded counter"))
	bad(s.CompletionTime != nil && was.CompletionTime != nil && !s.CompletionTime.Equal(was.CompletionTime), field.Invalid(p.Child("completionTime"), s.CompletionTime, "completionTime cannot be mutated"))
	suspended := o.Spec.Suspend != nil && *o.Spec.Suspend
	bad(was.StartTime != nil && !equality.Semantic.DeepEqual(was.StartTime, s.StartTime) && !suspended, field.Required(p.Child("startTime"), "startTime cannot be removed for unsuspended job"))
	return errs
}
