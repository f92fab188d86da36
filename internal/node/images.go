package node

import (
	"context"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/env"
	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// images decides by policy whether to pull, and pulls each image once at a time.
type images struct {
	n       *Node
	secrets env.Source
	mu      sync.Mutex
	pulls   map[string]*pull // by ref and credentials
}

// pull is one running pull with everybody who waits for it.
type pull struct {
	done chan struct{}
	id   string
	err  error
}

func newImages(n *Node, secrets env.Source) *images {
	return &images{n: n, secrets: secrets, pulls: map[string]*pull{}}
}

// Present implements pod.Images.
func (i *images) Present(ctx context.Context, _ *corev1.Pod, c *corev1.Container) (string, error) {
	if msg := badRef(c.Image); msg != "" {
		return "", &pod.Failure{Reason: "InvalidImageName", Event: "InspectFailed",
			Message: fmt.Sprintf("Failed to apply default image tag %q: %s", c.Image, msg)}
	}
	img, err := i.n.cfg.Engine.Image(ctx, c.Image)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return "", &pod.Failure{Reason: "ImageInspectError", Event: "InspectFailed",
			Message: fmt.Sprintf("Failed to inspect image %q: %v", c.Image, err), Err: err}
	case err != nil && policy(c) == corev1.PullNever:
		return "", &pod.Failure{Reason: "ErrImageNeverPull", Event: "ErrImageNeverPull",
			Message: fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)}
	case err != nil || policy(c) == corev1.PullAlways && !ours(img):
		return "", nil
	}
	return img.ID, nil
}

// ours reports whether an image was built or loaded here and never pulled: the registry that has it is our own, which serves
// this very store, so that asking it would change nothing (docs/decisions/always.md).
func ours(img engine.Image) bool { return len(img.Digests) == 0 }

// policy is the pull policy, with the API's default for objects that skipped defaulting.
func policy(c *corev1.Container) corev1.PullPolicy {
	if c.ImagePullPolicy != "" {
		return c.ImagePullPolicy
	}
	return corev1.PullIfNotPresent
}

// badRef says what is wrong with an image name, "" when nothing is. The engine parses it fully; this catches
// what no registry could ever answer.
func badRef(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	host, path, slash := strings.Cut(name, "/")
	if !slash || !strings.ContainsAny(host, ".:") && host != "localhost" {
		path = name
	}
	if path != strings.ToLower(path) {
		return fmt.Sprintf("couldn't parse image name %q: invalid reference format: repository name (%s) must be lowercase", ref, path)
	}
	if path == "" || strings.ContainsAny(ref, " \t\n!$&*()[]{};'\"\\<>?|`~^%#,") || strings.HasSuffix(path, "/") || strings.Contains(path, "//") {
		return fmt.Sprintf("couldn't parse image name %q: invalid reference format", ref)
	}
	return ""
}

// Pull implements pod.Images.
func (i *images) Pull(ctx context.Context, p *corev1.Pod, c *corev1.Container) (string, error) {
	auths, err := i.auths(ctx, p, c.Image)
	if err != nil {
		return "", err
	}
	key := c.Image
	for _, a := range auths {
		key += "\x00" + a.Server + "\x00" + a.Username + "\x00" + a.Password + "\x00" + a.IdentityToken + a.RegistryToken
	}
	i.mu.Lock()
	run := i.pulls[key]
	if run == nil {
		run = &pull{done: make(chan struct{})}
		i.pulls[key] = run
		i.n.pods.wg.Go(func() {
			run.id, run.err = i.n.cfg.Engine.Pull(i.n.pods.ctx, c.Image, auths, nil)
			i.mu.Lock()
			delete(i.pulls, key)
			i.mu.Unlock()
			close(run.done)
			i.n.self.changed() // the Node lists its images
		})
	}
	i.mu.Unlock()
	select {
	case <-run.done:
		return run.id, run.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
