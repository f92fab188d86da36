package admissionregistration

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ValidatingWebhookConfiguration of the group admissionregistration.
func ValidatingWebhookConfiguration() *api.Kind {
	return &api.Kind{
		Kind: "ValidatingWebhookConfiguration", Resource: "validatingwebhookconfigurations",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.ValidatingWebhookConfiguration, admissionregistrationv1.ValidatingWebhookConfigurationList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *admissionregistrationv1.ValidatingWebhookConfiguration) {
			for i := range o.Webhooks {
				h := hookOfValidating(&o.Webhooks[i])
				h.fill()
			}
		}),
		Validate: kit.To(func(o *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
			var errs field.ErrorList
			names := map[string]bool{}
			for i := range o.Webhooks {
				errs = append(errs, hookOfValidating(&o.Webhooks[i]).check(field.NewPath("webhooks").Index(i), names)...)
			}
			return errs
		}),
		ValidateCreate: kit.To(func(o *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
			return hookConditions(validatingConditions(o), nil)
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
			return hookConditions(validatingConditions(o), validatingConditions(old))
		}),
		Columns: kit.Columns(kit.Int("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration")),
		Cells: kit.Cells(func(o *admissionregistrationv1.ValidatingWebhookConfiguration, now time.Time) []any {
			return []any{o.Name, int64(len(o.Webhooks)), kit.Age(o, now)}
		}),
	}
}

func validatingConditions(o *admissionregistrationv1.ValidatingWebhookConfiguration) []conditionList {
	out := make([]conditionList, len(o.Webhooks))
	for i := range o.Webhooks {
		out[i] = o.Webhooks[i].MatchConditions
	}
	return out
}
