package daemon

import (
	"context"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image/auth"
)

// Credentials finds what the user logged in with for the registry of an image.
func Credentials(ref string) ([]engine.Auth, error) {
	found, err := auth.For(ref)
	out := make([]engine.Auth, len(found))
	for i, a := range found {
		out[i] = engine.Auth(a)
	}
	return out, err
}

// Login checks a registry's credentials and keeps them where docker does.
func Login(ctx context.Context, server, user, password string) error {
	return auth.Login(ctx, server, user, password)
}
