package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// failurePolicy checks when a job's pods fail for good (KEP-3329).
func failurePolicy(p *field.Path, s *batchv1.JobSpec) field.ErrorList {
	if s.PodFailurePolicy == nil {
		return nil
	}
	var errs field.ErrorList
	rules := p.Child("rules")
	if n := len(s.PodFailurePolicy.Rules); n > 20 {
		errs = append(errs, field.TooMany(rules, n, 20))
	}
	names := containerNames(s)
	for i := range s.PodFailurePolicy.Rules {
		errs = append(errs, failureRule(rules.Index(i), &s.PodFailurePolicy.Rules[i], s, names)...)
	}
	return errs
}

// choice is check.OneOf that says the choices when there is none.
func choice[T ~string](p *field.Path, v T, allowed ...T) field.ErrorList {
	if v == "" {
		return check.One(field.Required(p, fmt.Sprintf("valid values: %q", allowed)))
	}
	return check.Supported(p, v, allowed...)
}

func failureRule(p *field.Path, r *batchv1.PodFailurePolicyRule, s *batchv1.JobSpec, names []string) field.ErrorList {
	errs := choice(p.Child("action"), r.Action, batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex,
		batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore)
	if r.Action == batchv1.PodFailurePolicyActionFailIndex && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(p.Child("action"), r.Action, "requires the backoffLimitPerIndex to be set"))
	}
	if r.OnExitCodes != nil {
		errs = append(errs, exitCodes(p.Child("onExitCodes"), r.OnExitCodes, names)...)
	}
	cp := p.Child("onPodConditions")
	if n := len(r.OnPodConditions); n > 20 {
		errs = append(errs, field.TooMany(cp, n, 20))
	}
	for i, c := range r.OnPodConditions {
		errs = append(errs, check.QualifiedName(cp.Index(i).Child("type"), string(c.Type))...)
		errs = append(errs, choice(cp.Index(i).Child("status"), c.Status, corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown)...)
	}
	switch both, none := r.OnExitCodes != nil && len(r.OnPodConditions) > 0, r.OnExitCodes == nil && len(r.OnPodConditions) == 0; {
	case both:
		errs = append(errs, field.Invalid(p, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case none:
		errs = append(errs, field.Invalid(p, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func exitCodes(p *field.Path, r *batchv1.PodFailurePolicyOnExitCodesRequirement, names []string) field.ErrorList {
	errs := choice(p.Child("operator"), r.Operator, batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	if r.ContainerName != nil && !slices.Contains(names, *r.ContainerName) {
		errs = append(errs, field.Invalid(p.Child("containerName"), *r.ContainerName, "must be one of the container or initContainer names in the pod template"))
	}
	vp := p.Child("values")
	switch n := len(r.Values); {
	case n == 0:
		errs = append(errs, field.Invalid(vp, r.Values, "at least one value is required"))
	case n > 255:
		errs = append(errs, field.TooMany(vp, n, 255))
	}
	seen := map[int32]bool{}
	for i, v := range r.Values {
		if r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && v == 0 {
			errs = append(errs, field.Invalid(vp.Index(i), v, "must not be 0 for the In operator"))
		}
		if seen[v] {
			errs = append(errs, field.Duplicate(vp.Index(i), v))
		}
		seen[v] = true
	}
	if !slices.IsSorted(r.Values) {
		errs = append(errs, field.Invalid(vp, r.Values, "must be ordered"))
	}
	return errs
}

// successPolicy checks when a job is done before all indexes are (KEP-3998); p is the rules' path.
func successPolicy(p *field.Path, s *batchv1.JobSpec) field.ErrorList {
	if s.SuccessPolicy == nil {
		return nil
	}
	var errs field.ErrorList
	switch n := len(s.SuccessPolicy.Rules); {
	case n == 0:
		errs = append(errs, field.Required(p, "at least one rules must be specified when the successPolicy is specified"))
	case n > 20:
		errs = append(errs, field.TooMany(p, n, 20))
	}
	for i, r := range s.SuccessPolicy.Rules {
		ip := p.Index(i)
		if r.SucceededCount == nil && r.SucceededIndexes == nil {
			errs = append(errs, field.Required(ip, "at least one of succeededCount or succeededIndexes must be specified"))
		}
		total := int32(0)
		if x := r.SucceededIndexes; x != nil {
			xp := ip.Child("succeededIndexes")
			if len(*x) > 64*1024 {
				errs = append(errs, field.TooLong(xp, *x, 64*1024))
			}
			var err error
			if total, err = countIndexes(*x, *s.Completions); err != nil {
				errs = append(errs, field.Invalid(xp, *x, fmt.Sprintf("error parsing succeededIndexes: %s", err)))
			}
		}
		if c := r.SucceededCount; c != nil {
			cp := ip.Child("succeededCount")
			errs = append(errs, check.NonNegative(cp, *c)...)
			if *c > *s.Completions {
				errs = append(errs, field.Invalid(cp, *c, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", *s.Completions)))
			}
			if r.SucceededIndexes != nil && *c > total {
				errs = append(errs, field.Invalid(cp, *c, fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total)))
			}
		}
	}
	return errs
}

// countIndexes reads "1,3-5,7".
func countIndexes(text string, completions int32) (int32, error) {
	if text == "" {
		return 0, nil
	}
	var total int32
	last := int32(-1)
	for part := range strings.SplitSeq(text, ",") {
		a, b, ranged := strings.Cut(part, "-")
		lo, err := strconv.ParseInt(a, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("cannot convert string to integer for index: %q", a)
		}
		hi := lo
		if ranged {
			if hi, err = strconv.ParseInt(b, 10, 32); err != nil {
				return 0, fmt.Errorf("cannot convert string to integer for index: %q", b)
			}
			if lo >= hi {
				return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", lo, hi)
			}
		}
		switch {
		case int32(hi) >= completions:
			return 0, fmt.Errorf("too large index: %q", strconv.FormatInt(hi, 10))
		case last >= int32(lo):
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", last, lo)
		}
		total += int32(hi-lo) + 1
		last = int32(hi)
	}
	return total, nil
}
