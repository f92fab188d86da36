package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// MutatingAdmissionPolicy of the group admissionregistration.
func MutatingAdmissionPolicy() *api.Kind {
	return &api.Kind{
		Kind: "MutatingAdmissionPolicy", Resource: "mutatingadmissionpolicies",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingAdmissionPolicy, admissionregistrationv1.MutatingAdmissionPolicyList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
