package admissionregistration

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// MutatingWebhookConfiguration of the group admissionregistration.
func MutatingWebhookConfiguration() *api.Kind {
	return &api.Kind{
		Kind: "MutatingWebhookConfiguration", Resource: "mutatingwebhookconfigurations",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingWebhookConfiguration, admissionregistrationv1.MutatingWebhookConfigurationList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *admissionregistrationv1.MutatingWebhookConfiguration) {
			for i := range o.Webhooks {
				h := hookOfMutating(&o.Webhooks[i])
				h.fill()
				poddefault.Set(&o.Webhooks[i].ReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy)
			}
		}),
		Validate: kit.To(func(o *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := map[string]bool{}
			for i := range o.Webhooks {
				errs = append(errs, hookOfMutating(&o.Webhooks[i]).check(field.NewPath("webhooks").Index(i), names)...)
			}
			return errs
		}),
		ValidateCreate: kit.To(func(o *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
			return hookConditions(mutatingConditions(o), nil)
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
			return hookConditions(mutatingConditions(o), mutatingConditions(old))
		}),
		Columns: kit.Columns(kit.Int("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration")),
		Cells: kit.Cells(func(o *admissionregistrationv1.MutatingWebhookConfiguration, now time.Time) []any {
			return []any{o.Name, int64(len(o.Webhooks)), kit.Age(o, now)}
		}),
	}
}

func mutatingConditions(o *admissionregistrationv1.MutatingWebhookConfiguration) []conditionList {
	out := make([]conditionList, len(o.Webhooks))
	for i := range o.Webhooks {
		out[i] = o.Webhooks[i].MatchConditions
	}
	return out
}
