// Package auth finds, checks and keeps the credentials of registries where docker keeps
// them: config.json, its credential stores and helpers, and podman's auth.json.
//
// It is for the user's side (the CLI); a store is only ever given credentials.
package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/image/remote"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// dockerHub is how docker.io is named in config.json.
const dockerHub = "https://index.docker.io/v1/"

// For gives the credentials a user has for a registry ("docker.io", "localhost:5000"), to be passed to Pull and Push.
// None is no error.
func For(ctx context.Context, registry string) ([]remote.Auth, error) {
	reg, err := name.NewRegistry(registry, name.WeakValidation)
	if err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	a, err := authn.Resolve(ctx, authn.DefaultKeychain, reg)
	if err != nil {
		return nil, fmt.Errorf("read credentials for %s: %w", registry, err)
	}
	if a == authn.Anonymous {
		return nil, nil
	}
	c, err := authn.Authorization(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("read credentials for %s: %w", registry, err)
	}
	return []remote.Auth{{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken, Server: registry}}, nil
}

// Login checks credentials against the registry and keeps them in the credential store that config.json names, else in
// config.json itself, as docker login does. Denied when the registry refuses them.
func Login(ctx context.Context, c *remote.Client, registry, user, password string) error {
	a := remote.Auth{Username: user, Password: password, Server: registry}
	if err := c.Check(ctx, registry, a); err != nil {
		return fmt.Errorf("log in to %s: %w", registry, err)
	}
	f, err := load()
	if err != nil {
		return err
	}
	key := keyOf(registry)
	err = f.GetCredentialsStore(key).Store(types.AuthConfig{Username: user, Password: password, ServerAddress: key})
	if err != nil {
		return fmt.Errorf("keep credentials for %s: %w", registry, err)
	}
	return nil
}

// Logout forgets the credentials of a registry. NotFound when there were none.
func Logout(registry string) error {
	f, err := load()
	if err != nil {
		return err
	}
	key := keyOf(registry)
	if got, err := f.GetAuthConfig(key); err != nil {
		return fmt.Errorf("read credentials for %s: %w", registry, err)
	} else if got.Username == "" && got.IdentityToken == "" {
		return fault.New(fault.NotFound, "not logged in to %s", registry)
	}
	return f.GetCredentialsStore(key).Erase(key)
}

func keyOf(registry string) string {
	switch registry {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return dockerHub
	}
	return registry
}

// File is the config.json in use.
func File() (string, error) {
	if d := os.Getenv("DOCKER_CONFIG"); d != "" {
		return filepath.Join(d, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the docker config: %w", err)
	}
	return filepath.Join(home, ".docker", "config.json"), nil
}

func load() (*configfile.ConfigFile, error) {
	path, err := File()
	if err != nil {
		return nil, err
	}
	cf := configfile.New(path)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cf, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := cf.LoadFromReader(f); err != nil {
		return nil, fault.New(fault.Invalid, "read %s: %w: repair or remove it", path, err)
	}
	return cf, nil
}
