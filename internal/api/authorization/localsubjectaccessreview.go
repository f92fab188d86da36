package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// LocalSubjectAccessReview of the group authorization.
func LocalSubjectAccessReview() *api.Kind {
	return &api.Kind{
		Kind: "LocalSubjectAccessReview", Resource: "localsubjectaccessreviews",
		Namespaced: true,
		Virtual:    true,
		Verbs:      kit.CreateOnly,
		Versions:   []api.Version{kit.ServedAlone[authorizationv1.LocalSubjectAccessReview](authorizationv1.SchemeGroupVersion)},
	}
}
