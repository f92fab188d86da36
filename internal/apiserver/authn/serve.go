package authn

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Serve is Request for the write that the server makes of a call on serviceaccounts/token.
func (t *Tokens) Serve(ctx context.Context, w *request.Write) (runtime.Object, error) {
	return t.Request(ctx, w.User, w.Namespace, w.Name, w.Body)
}

// Serve is Review for the write that the server makes of a call on tokenreviews or selfsubjectreviews.
func (v *Reviews) Serve(ctx context.Context, w *request.Write) (runtime.Object, error) {
	return v.Review(ctx, w.User, bodyOf(w))
}

func bodyOf(w *request.Write) runtime.Object {
	if w.Body != nil {
		return w.Body
	}
	return w.Object
}

// Handlers serve what verifiers of our tokens outside the cluster need, by path.
func (t *Tokens) Handlers() map[string]http.Handler {
	document := func(contentType string, make func() ([]byte, error)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				w.Header().Set("Allow", "GET, HEAD")
				http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
				return
			}
			b, err := make()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "public, max-age=3600")
			w.Write(b)
		})
	}
	return map[string]http.Handler{
		"/.well-known/openid-configuration": document("application/json", func() ([]byte, error) { return t.OpenIDConfiguration("") }),
		"/openid/v1/jwks":                   document("application/jwk-set+json", t.JWKS),
	}
}
