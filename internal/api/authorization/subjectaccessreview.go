package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// SubjectAccessReview of the group authorization.
func SubjectAccessReview() *api.Kind {
	return &api.Kind{
		Kind: "SubjectAccessReview", Resource: "subjectaccessreviews",
		Virtual:  true,
		Verbs:    kit.CreateOnly,
		Versions: []api.Version{kit.ServedAlone[authorizationv1.SubjectAccessReview](authorizationv1.SchemeGroupVersion)},
	}
}
