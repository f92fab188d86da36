package authn

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Reviews answers the bodies of authentication.k8s.io.
type Reviews struct {
	chain  *Chain
	tokens *Tokens
}

// NewReviews makes it from what New returned.
func NewReviews(c *Chain, t *Tokens) *Reviews { return &Reviews{c, t} }

// Review answers a TokenReview or a SelfSubjectReview. The body is not changed.
func (v *Reviews) Review(_ context.Context, u *request.User, body runtime.Object) (runtime.Object, error) {
	switch in := body.(type) {
	case *authenticationv1.TokenReview:
		if in.Spec.Token == "" {
			return nil, apierrors.NewBadRequest("token is required for TokenReview in authentication")
		}
		out := in.DeepCopy()
		out.Status = v.token(in.Spec.Token, in.Spec.Audiences)
		return out, nil
	case *authenticationv1.SelfSubjectReview:
		if u == nil {
			return nil, apierrors.NewBadRequest("no user present on request")
		}
		out := in.DeepCopy()
		out.CreationTimestamp = metav1.NewTime(v.tokens.now())
		out.Status.UserInfo = userInfo(u)
		return out, nil
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("body is a %T, not an authentication review", body))
}

func (v *Reviews) token(token string, audiences []string) authenticationv1.TokenReviewStatus {
	if len(audiences) == 0 {
		audiences = v.tokens.audiences
	}
	u, good, err := v.tokens.Verify(token, audiences)
	if err == nil && u == nil {
		u, good, err = v.other(token, audiences)
	}
	if err != nil {
		return authenticationv1.TokenReviewStatus{Error: err.Error()}
	}
	if u == nil {
		return authenticationv1.TokenReviewStatus{}
	}
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: userInfo(withAuthenticated(u)), Audiences: good}
}

// other asks the rest of the chain, whose tokens are for the API itself.
func (v *Reviews) other(token string, audiences []string) (*request.User, []string, error) {
	var own []string
	for _, a := range audiences {
		if slices.Contains(v.tokens.audiences, a) {
			own = append(own, a)
		}
	}
	if len(own) == 0 {
		return nil, nil, nil
	}
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
	for _, a := range v.chain.list {
		if a == request.Authenticator(v.tokens) {
			continue
		}
		if _, last := a.(anonymous); last {
			continue
		}
		if u, err := a.Authenticate(r); u != nil || err != nil {
			return u, own, err
		}
	}
	return nil, nil, nil
}

func userInfo(u *request.User) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: u.Name, UID: u.UID, Groups: u.Groups}
	for k, v := range u.Extra {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[k] = v
	}
	return out
}
