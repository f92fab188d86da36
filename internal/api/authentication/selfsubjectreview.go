package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// SelfSubjectReview of the group authentication.
func SelfSubjectReview() *api.Kind {
	return &api.Kind{
		Kind: "SelfSubjectReview", Resource: "selfsubjectreviews",
		Virtual:  true,
		Verbs:    kit.CreateOnly,
		Versions: []api.Version{kit.ServedAlone[authenticationv1.SelfSubjectReview](authenticationv1.SchemeGroupVersion)},
	}
}
