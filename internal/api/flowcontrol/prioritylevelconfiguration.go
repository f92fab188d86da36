package flowcontrol

import (
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// PriorityLevelConfiguration of the group flowcontrol.
func PriorityLevelConfiguration() *api.Kind {
	halves := kit.Split(
		func(o *flowcontrolv1.PriorityLevelConfiguration) *flowcontrolv1.PriorityLevelConfigurationSpec {
			return &o.Spec
		},
		func(o *flowcontrolv1.PriorityLevelConfiguration) *flowcontrolv1.PriorityLevelConfigurationStatus {
			return &o.Status
		})
	return &api.Kind{
		Kind: "PriorityLevelConfiguration", Resource: "prioritylevelconfigurations",
		Versions:      []api.Version{kit.Served[flowcontrolv1.PriorityLevelConfiguration, flowcontrolv1.PriorityLevelConfigurationList](flowcontrolv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Default: kit.On(levelDefault),
		Validate: kit.To(func(o *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
			p := field.NewPath("spec")
			errs := check.OneOf(p.Child("type"), o.Spec.Type, flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)
			switch o.Spec.Type {
			case flowcontrolv1.PriorityLevelEnablementExempt:
				if o.Spec.Limited != nil {
					errs = append(errs, field.Forbidden(p.Child("limited"), "must be nil if the type is not Limited"))
				}
			case flowcontrolv1.PriorityLevelEnablementLimited:
				if o.Spec.Exempt != nil {
					errs = append(errs, field.Forbidden(p.Child("exempt"), "must be nil if the type is Limited"))
				}
				if o.Spec.Limited == nil {
					return append(errs, field.Required(p.Child("limited"), "must not be empty when type is Limited"))
				}
				r := o.Spec.Limited.LimitResponse
				errs = append(errs, check.OneOf(p.Child("limited", "limitResponse", "type"), r.Type, flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject)...)
				if r.Type == flowcontrolv1.LimitResponseTypeReject && r.Queuing != nil {
					errs = append(errs, field.Forbidden(p.Child("limited", "limitResponse", "queuing"), "must be nil if limited.limitResponse.type is not Limited"))
				}
			}
			return errs
		}),
		Columns: levelColumns(),
		Cells: kit.Cells(func(o *flowcontrolv1.PriorityLevelConfiguration, now time.Time) []any {
			var shares, queues, hand, length any = "<none>", "<none>", "<none>", "<none>"
			if l := o.Spec.Limited; l != nil {
				shares = kit.Deref(l.NominalConcurrencyShares, 0)
				if q := l.LimitResponse.Queuing; q != nil {
					queues, hand, length = q.Queues, q.HandSize, q.QueueLengthLimit
				}
			}
			return []any{o.Name, string(o.Spec.Type), shares, queues, hand, length, kit.Age(o, now)}
		}),
	}
}

func levelDefault(o *flowcontrolv1.PriorityLevelConfiguration) {
	if o.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt {
		poddefault.Set(&o.Spec.Exempt, flowcontrolv1.ExemptPriorityLevelConfiguration{})
	}
	if e := o.Spec.Exempt; e != nil {
		poddefault.Set(&e.NominalConcurrencyShares, 0)
		poddefault.Set(&e.LendablePercent, 0)
	}
	if l := o.Spec.Limited; l != nil {
		poddefault.Set(&l.NominalConcurrencyShares, 30)
		poddefault.Set(&l.LendablePercent, 0)
		if q := l.LimitResponse.Queuing; q != nil {
			poddefault.SetZero(&q.Queues, 64)
			poddefault.SetZero(&q.HandSize, 8)
			poddefault.SetZero(&q.QueueLengthLimit, 50)
		}
	}
}

func levelColumns() []metav1.TableColumnDefinition {
	q := flowcontrolv1.QueuingConfiguration{}.SwaggerDoc()
	return kit.Columns(
		kit.Column("Type", flowcontrolv1.PriorityLevelConfigurationSpec{}.SwaggerDoc()["type"]),
		kit.Column("NominalConcurrencyShares", flowcontrolv1.LimitedPriorityLevelConfiguration{}.SwaggerDoc()["nominalConcurrencyShares"]),
		kit.Column("Queues", q["queues"]), kit.Column("HandSize", q["handSize"]), kit.Column("QueueLengthLimit", q["queueLengthLimit"]))
}
