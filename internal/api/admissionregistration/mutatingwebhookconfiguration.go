package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// MutatingWebhookConfiguration of the group admissionregistration.
func MutatingWebhookConfiguration() *api.Kind {
	return &api.Kind{
		Kind: "MutatingWebhookConfiguration", Resource: "mutatingwebhookconfigurations",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingWebhookConfiguration, admissionregistrationv1.MutatingWebhookConfigurationList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
