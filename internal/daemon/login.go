package daemon

import (
	"context"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/auth"
	"github.com/dhow-project/dhow/internal/image/remote"
)

// Credentials finds what the user logged in with for the registry of an image.
func Credentials(ctx context.Context, ref string) ([]engine.Auth, error) {
	r, err := image.ParseRef(ref)
	if err != nil {
		return nil, err
	}
	found, err := auth.For(ctx, r.Registry)
	out := make([]engine.Auth, len(found))
	for i, a := range found {
		out[i] = engine.Auth(a)
	}
	return out, err
}

// Login checks a registry's credentials and keeps them where docker does. An empty server is docker.io.
func Login(ctx context.Context, c config.Config, server, user, password string) error {
	if server == "" {
		server = "docker.io"
	}
	client := remote.New(registries(c))
	defer client.Close()
	return auth.Login(ctx, client, server, user, password)
}

// Logout forgets them.
func Logout(server string) error { return auth.Logout(server) }

func registries(c config.Config) image.Registries {
	return image.Registries{Mirrors: c.Registries.Mirrors, Insecure: c.Registries.Insecure, CA: c.Registries.CA}
}
