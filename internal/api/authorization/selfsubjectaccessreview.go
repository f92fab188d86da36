package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// SelfSubjectAccessReview of the group authorization.
func SelfSubjectAccessReview() *api.Kind {
	return &api.Kind{
		Kind: "SelfSubjectAccessReview", Resource: "selfsubjectaccessreviews",
		Virtual:  true,
		Verbs:    kit.CreateOnly,
		Versions: []api.Version{kit.ServedAlone[authorizationv1.SelfSubjectAccessReview](authorizationv1.SchemeGroupVersion)},
	}
}
