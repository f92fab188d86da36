package policy

import (
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PodDisruptionBudget of the group policy.
func PodDisruptionBudget() *api.Kind {
	halves := kit.Split(
		func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetSpec { return &o.Spec },
		func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetStatus { return &o.Status })
	return &api.Kind{
		Kind: "PodDisruptionBudget", Resource: "poddisruptionbudgets",
		ShortNames:    []string{"pdb"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList](policyv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Validate: kit.To(budgetValidate),
		Columns: kit.Columns(
			kit.Column("Min Available", "The minimum number of pods that must be available."),
			kit.Column("Max Unavailable", "The maximum number of pods that may be unavailable."),
			kit.Int("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.")),
		Cells: kit.Cells(func(o *policyv1.PodDisruptionBudget, now time.Time) []any {
			available, unavailable := "N/A", "N/A"
			if v := o.Spec.MinAvailable; v != nil {
				available = v.String()
			}
			if v := o.Spec.MaxUnavailable; v != nil {
				unavailable = v.String()
			}
			return []any{o.Name, available, unavailable, int64(o.Status.DisruptionsAllowed), kit.Age(o, now)}
		}),
	}
}

func budgetValidate(o *policyv1.PodDisruptionBudget) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.MinAvailable != nil && s.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(p, *s, "minAvailable and maxUnavailable cannot be both set"))
	}
	for _, f := range []struct {
		name string
		v    *intstr.IntOrString
	}{{"minAvailable", s.MinAvailable}, {"maxUnavailable", s.MaxUnavailable}} {
		if f.v != nil {
			errs = append(errs, check.Join(check.CountOrPercent(p.Child(f.name), *f.v), check.AtMostHundredPercent(p.Child(f.name), *f.v))...)
		}
	}
	errs = append(errs, check.Selector(p.Child("selector"), s.Selector)...)
	return append(errs, check.OptionalOf(p.Child("unhealthyPodEvictionPolicy"), s.UnhealthyPodEvictionPolicy, policyv1.AlwaysAllow, policyv1.IfHealthyBudget)...)
}
