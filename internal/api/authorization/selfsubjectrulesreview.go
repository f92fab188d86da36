package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// SelfSubjectRulesReview of the group authorization.
func SelfSubjectRulesReview() *api.Kind {
	return &api.Kind{
		Kind: "SelfSubjectRulesReview", Resource: "selfsubjectrulesreviews",
		Virtual:  true,
		Verbs:    kit.CreateOnly,
		Versions: []api.Version{kit.ServedAlone[authorizationv1.SelfSubjectRulesReview](authorizationv1.SchemeGroupVersion)},
	}
}
