package scheduling

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// PriorityClass of the group scheduling.
func PriorityClass() *api.Kind {
	return &api.Kind{
		Kind: "PriorityClass", Resource: "priorityclasses",
		ShortNames:    []string{"pc"},
		Versions:      []api.Version{kit.Served[schedulingv1.PriorityClass, schedulingv1.PriorityClassList](schedulingv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *schedulingv1.PriorityClass) {
			poddefault.Set(&o.PreemptionPolicy, corev1.PreemptLowerPriority)
		}),
		Validate: kit.To(priorityValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			if o.Value != old.Value {
				errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
			}
			return append(errs, check.Immutable(field.NewPath("preemptionPolicy"), o.PreemptionPolicy, old.PreemptionPolicy)...)
		}),
		Columns: append(kit.Columns(
			kit.Int("Value", schedulingv1.PriorityClass{}.SwaggerDoc()["value"]),
			kit.Bool("Global-Default", schedulingv1.PriorityClass{}.SwaggerDoc()["globalDefault"]),
		), kit.Column("PreemptionPolicy", schedulingv1.PriorityClass{}.SwaggerDoc()["preemptionPolicy"])),
		Cells: kit.Cells(func(o *schedulingv1.PriorityClass, now time.Time) []any {
			return []any{o.Name, int64(o.Value), o.GlobalDefault, kit.Age(o, now), string(kit.Deref(o.PreemptionPolicy, ""))}
		}),
	}
}

// The highest value people may give; above are the cluster's own.
const highestUser = 1_000_000_000

func priorityValidate(o *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	system := map[string]int32{"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
	if strings.HasPrefix(o.Name, "system-") {
		if v, ok := system[o.Name]; !ok || v != o.Value || o.GlobalDefault {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"), "priority class names with 'system-' prefix are reserved for system use only. error: "+o.Name+" is not a known system priority class"))
		}
	} else if o.Value > highestUser {
		errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", highestUser)))
	}
	if o.PreemptionPolicy != nil {
		errs = append(errs, check.OneOf(field.NewPath("preemptionPolicy"), *o.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	return errs
}
