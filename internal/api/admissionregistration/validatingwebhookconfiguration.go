package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

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
	}
}
