package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// TokenReview of the group authentication.
func TokenReview() *api.Kind {
	return &api.Kind{
		Kind: "TokenReview", Resource: "tokenreviews",
		Virtual:  true,
		Verbs:    kit.CreateOnly,
		Versions: []api.Version{kit.ServedAlone[authenticationv1.TokenReview](authenticationv1.SchemeGroupVersion)},
	}
}
