package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/engine"
)

// auths are the credentials of the pod's imagePullSecrets that fit the image's registry. A missing secret is passed over,
// as upstream does: the image may be public.
func (i *images) auths(ctx context.Context, p *corev1.Pod, ref string) ([]engine.Auth, error) {
	var out []engine.Auth
	for _, r := range p.Spec.ImagePullSecrets {
		s, err := i.secrets.Secret(ctx, p.Namespace, r.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read image pull secret %s: %w", r.Name, err)
		}
		found, err := parseAuths(s, ref)
		if err != nil {
			return nil, fmt.Errorf("image pull secret %s: %w", r.Name, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// dockerAuth is one entry of docker's config.json.
type dockerAuth struct {
	Username, Password, Auth string
	IdentityToken            string `json:"identitytoken"`
	RegistryToken            string `json:"registrytoken"`
}

// parseAuths reads both secret formats: config.json, and the older map without the "auths" level.
func parseAuths(s *corev1.Secret, ref string) (out []engine.Auth, err error) {
	var entries map[string]dockerAuth
	if b, ok := s.Data[corev1.DockerConfigJsonKey]; ok {
		var c struct{ Auths map[string]dockerAuth }
		err = json.Unmarshal(b, &c)
		entries = c.Auths
	} else if b, ok := s.Data[corev1.DockerConfigKey]; ok {
		err = json.Unmarshal(b, &entries)
	}
	if err != nil {
		return nil, fmt.Errorf("not docker's config.json: %w", err)
	}
	for server, e := range entries {
		if !serves(server, ref) {
			continue
		}
		if e.Auth != "" {
			raw, err := base64.StdEncoding.DecodeString(e.Auth)
			if err != nil {
				return nil, fmt.Errorf("auth of %s: not base64", server)
			}
			e.Username, e.Password, _ = strings.Cut(string(raw), ":")
		}
		out = append(out, engine.Auth{Username: e.Username, Password: strings.TrimRight(e.Password, "\x00"), IdentityToken: e.IdentityToken,
			RegistryToken: e.RegistryToken, Server: server})
	}
	return out, nil
}

// serves reports whether credentials for server are meant for ref: same registry, path a prefix, "*." one label.
func serves(server, ref string) bool {
	server = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://"), "/")
	server = strings.TrimSuffix(strings.TrimSuffix(server, "/v1"), "/v2")
	host, path, _ := strings.Cut(server, "/")
	refHost, rest, slash := strings.Cut(ref, "/")
	if !slash || !strings.ContainsAny(refHost, ".:") && refHost != "localhost" {
		refHost, rest = "docker.io", ref
	}
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	if path != "" && rest != path && !strings.HasPrefix(rest, path+"/") && !strings.HasPrefix(rest, path+":") {
		return false
	}
	a, b := strings.Split(host, "."), strings.Split(refHost, ".")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != "*" && a[i] != b[i] {
			return false
		}
	}
	return true
}

// volume makes an image volume's image present.
func (i *images) volume(ctx context.Context, p *corev1.Pod, src *corev1.ImageVolumeSource) (string, error) {
	c := &corev1.Container{Image: src.Reference, ImagePullPolicy: src.PullPolicy}
	if id, err := i.Present(ctx, p, c); err != nil || id != "" {
		return id, err
	}
	return i.Pull(ctx, p, c)
}
