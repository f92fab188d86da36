package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ValidatingAdmissionPolicyBinding of the group admissionregistration.
func ValidatingAdmissionPolicyBinding() *api.Kind {
	return &api.Kind{
		Kind: "ValidatingAdmissionPolicyBinding", Resource: "validatingadmissionpolicybindings",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.ValidatingAdmissionPolicyBinding, admissionregistrationv1.ValidatingAdmissionPolicyBindingList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
