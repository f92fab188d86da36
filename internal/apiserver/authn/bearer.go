package authn

import (
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// websocketToken carries a bearer token where a browser cannot set headers: base64url in a subprotocol.
const websocketToken = "base64url.bearer.authorization.k8s.io."

// bearer is the token of a request, from the Authorization header or a websocket's protocol list.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		if token = strings.TrimSpace(token); token != "" {
			return token, true
		}
	}
	for _, line := range r.Header.Values("Sec-Websocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if enc, ok := strings.CutPrefix(strings.TrimSpace(p), websocketToken); ok {
				if raw, err := b64.DecodeString(enc); err == nil && len(raw) > 0 {
					return string(raw), true
				}
			}
		}
	}
	return "", false
}

// Static knows users by fixed tokens. Only hashes are kept, so a lookup takes the same time for any guess.
type Static struct {
	users map[[sha256.Size]byte]*request.User
}

// NewStatic makes it from tokens and their users.
func NewStatic(users map[string]*request.User) *Static {
	s := &Static{map[[sha256.Size]byte]*request.User{}}
	for token, u := range users {
		if token != "" {
			s.users[sha256.Sum256([]byte(token))] = u
		}
	}
	return s
}

// Authenticate implements request.Authenticator; unknown tokens are somebody else's.
func (s *Static) Authenticate(r *http.Request) (*request.User, error) {
	if token, ok := bearer(r); ok {
		return s.users[sha256.Sum256([]byte(token))], nil
	}
	return nil, nil
}
