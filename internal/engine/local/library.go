package local

import (
	"context"
	"encoding/json"
	"io"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Pull is engine.Images'.
func (e *Engine) Pull(ctx context.Context, ref string, auths []engine.Auth, progress func(engine.Progress)) (string, error) {
	im, err := e.images.Pull(ctx, ref, toAuths(auths), image.PullOptions{Progress: toProgress(progress)})
	return im.ID.String(), err
}

// Push is engine.Library's.
func (e *Engine) Push(ctx context.Context, ref string, auths []engine.Auth, progress func(engine.Progress)) error {
	return e.images.Push(ctx, ref, toAuths(auths), toProgress(progress))
}

func toAuths(in []engine.Auth) []image.Auth {
	out := make([]image.Auth, len(in))
	for i, a := range in {
		out[i] = image.Auth(a)
	}
	return out
}

func toProgress(f func(engine.Progress)) func(image.Progress) {
	if f == nil {
		return nil
	}
	return func(p image.Progress) { f(engine.Progress(p)) }
}

// Image is engine.Images'.
func (e *Engine) Image(_ context.Context, ref string) (engine.Image, error) {
	im, err := e.images.Get(ref)
	if err != nil {
		return engine.Image{}, err
	}
	return toImage(im), nil
}

// ListImages is engine.Images'.
func (e *Engine) ListImages(context.Context) ([]engine.Image, error) {
	all, err := e.images.List()
	if err != nil {
		return nil, err
	}
	out := make([]engine.Image, len(all))
	for i, im := range all {
		out[i] = toImage(im)
	}
	return out, nil
}

func toImage(im image.Image) engine.Image {
	out := engine.Image{ID: im.ID.String(), Tags: im.Tags, Digests: im.RepoDigests, Size: im.Size, Created: im.Created}
	if im.Config == nil {
		return out
	}
	c := im.Config.Config
	out.User, out.Entrypoint, out.Cmd, out.Env = c.User, c.Entrypoint, c.Cmd, c.Env
	out.WorkingDir, out.StopSignal, out.Labels = c.WorkingDir, c.StopSignal, c.Labels
	out.OS, out.Architecture = im.Config.OS, im.Config.Architecture
	for port := range c.ExposedPorts {
		out.ExposedPorts = append(out.ExposedPorts, port)
	}
	return out
}

// RemoveImage is engine.Images': an image that is not there is no error.
func (e *Engine) RemoveImage(_ context.Context, ref string) error {
	_, err := e.images.Remove(ref, false)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// ImageUsage is engine.Images'.
func (e *Engine) ImageUsage(context.Context) (engine.Usage, error) {
	u, err := e.images.Usage()
	return engine.Usage(u), err
}

// Tag is engine.Library's.
func (e *Engine) Tag(_ context.Context, src, dst string) error { return e.images.Tag(src, dst) }

// Save is engine.Library's.
func (e *Engine) Save(ctx context.Context, refs []string, w io.Writer) error {
	return e.images.Save(ctx, w, refs...)
}

// Load is engine.Library's.
func (e *Engine) Load(ctx context.Context, r io.Reader, progress func(engine.Progress)) ([]engine.Image, error) {
	loaded, err := e.images.Load(ctx, r, toProgress(progress))
	out := make([]engine.Image, len(loaded))
	for i, im := range loaded {
		out[i] = toImage(im)
	}
	return out, err
}

// Inspect is engine.Library's.
func (e *Engine) Inspect(_ context.Context, ref string) ([]byte, error) {
	im, err := e.images.Get(ref)
	if err != nil {
		return nil, err
	}
	return json.Marshal(im.Config)
}

// Prune is engine.Library's.
func (e *Engine) Prune(ctx context.Context, all bool) (int64, error) {
	removed, err := e.images.Prune(ctx, all)
	return removed.Bytes, err
}
