package flowcontrol

import (
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// FlowSchema of the group flowcontrol.
func FlowSchema() *api.Kind {
	halves := kit.Split(
		func(o *flowcontrolv1.FlowSchema) *flowcontrolv1.FlowSchemaSpec { return &o.Spec },
		func(o *flowcontrolv1.FlowSchema) *flowcontrolv1.FlowSchemaStatus { return &o.Status })
	return &api.Kind{
		Kind: "FlowSchema", Resource: "flowschemas",
		Versions:      []api.Version{kit.Served[flowcontrolv1.FlowSchema, flowcontrolv1.FlowSchemaList](flowcontrolv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Default: kit.On(func(o *flowcontrolv1.FlowSchema) { poddefault.SetZero(&o.Spec.MatchingPrecedence, 1000) }),
		Validate: kit.To(func(o *flowcontrolv1.FlowSchema) field.ErrorList {
			p := field.NewPath("spec")
			errs := check.Present(p.Child("priorityLevelConfiguration", "name"), o.Spec.PriorityLevelConfiguration.Name)
			if v := o.Spec.MatchingPrecedence; v <= 0 {
				errs = append(errs, field.Invalid(p.Child("matchingPrecedence"), v, "must be a positive value"))
			} else if v > 10000 {
				errs = append(errs, field.Invalid(p.Child("matchingPrecedence"), v, "must not be greater than 10000"))
			}
			if d := o.Spec.DistinguisherMethod; d != nil {
				errs = append(errs, check.Supported(p.Child("distinguisherMethod", "type"), d.Type, flowcontrolv1.FlowDistinguisherMethodByNamespaceType, flowcontrolv1.FlowDistinguisherMethodByUserType)...)
			}
			for i, r := range o.Spec.Rules {
				rp := p.Child("rules").Index(i)
				if len(r.Subjects) == 0 {
					errs = append(errs, field.Required(rp.Child("subjects"), "subjects must contain at least one value"))
				}
				if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
					errs = append(errs, field.Required(rp, "at least one of resourceRules and nonResourceRules has to be non-empty"))
				}
			}
			return errs
		}),
		Columns: append(kit.Columns(
			kit.Column("PriorityLevel", flowcontrolv1.PriorityLevelConfigurationReference{}.SwaggerDoc()["name"]),
			kit.Column("MatchingPrecedence", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["matchingPrecedence"]),
			kit.Column("DistinguisherMethod", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["distinguisherMethod"]),
		), kit.Column("MissingPL", "references a broken or non-existent PriorityLevelConfiguration")),
		Cells: kit.Cells(func(o *flowcontrolv1.FlowSchema, now time.Time) []any {
			method, missing := "<none>", "?"
			if d := o.Spec.DistinguisherMethod; d != nil {
				method = string(d.Type)
			}
			for _, c := range o.Status.Conditions {
				if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
					missing = string(c.Status)
				}
			}
			return []any{o.Name, o.Spec.PriorityLevelConfiguration.Name, int64(o.Spec.MatchingPrecedence), method, kit.Age(o, now), missing}
		}),
	}
}
