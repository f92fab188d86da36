package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// MutatingAdmissionPolicyBinding of the group admissionregistration.
func MutatingAdmissionPolicyBinding() *api.Kind {
	return &api.Kind{
		Kind: "MutatingAdmissionPolicyBinding", Resource: "mutatingadmissionpolicybindings",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingAdmissionPolicyBinding, admissionregistrationv1.MutatingAdmissionPolicyBindingList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
