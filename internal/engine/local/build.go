package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/build"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Build is engine.Library's.
func (e *Engine) Build(ctx context.Context, b engine.BuildOptions, progress func(engine.BuildEvent)) (string, error) {
	if progress == nil {
		progress = func(engine.BuildEvent) {}
	}
	o := build.Options{
		Store: e.images, ContextDir: b.Context, Tags: b.Tags, Target: b.Target, BuildArgs: b.Args, Labels: b.Labels,
		NoCache: b.NoCache, Pull: b.Pull, Network: b.Network, Secrets: map[string][]byte{},
		Runner:   &runner{e},
		Progress: func(ev build.Event) { progress(buildEvent(ev)) },
		PullFunc: func(ctx context.Context, ref string, p *image.Platform) (image.Image, error) {
			return e.images.Pull(ctx, ref, toAuths(b.Auths), image.PullOptions{Platform: p})
		},
	}
	if b.Dockerfile != "" {
		raw, err := os.ReadFile(b.Dockerfile)
		if err != nil {
			return "", fault.New(fault.Invalid, "read Dockerfile: %w", err)
		}
		o.DockerfileData = raw
		if rel, err := filepath.Rel(b.Context, b.Dockerfile); err == nil && !strings.HasPrefix(rel, "..") {
			o.Dockerfile = rel
		}
	}
	for id, path := range b.Secrets {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", fault.New(fault.Invalid, "read secret %s: %w", id, err)
		}
		o.Secrets[id] = raw
	}
	if b.Platform != "" {
		p, err := image.ParsePlatform(b.Platform)
		if err != nil {
			return "", err
		}
		o.Platform = p
	}
	im, err := build.Build(ctx, o)
	return im.ID.String(), err
}

func buildEvent(ev build.Event) engine.BuildEvent {
	out := engine.BuildEvent{Step: ev.Step, Steps: ev.Total, Name: stepName(ev), Seconds: ev.Duration.Seconds(), Text: string(ev.Log)}
	switch ev.State {
	case "started":
		out.Status = "start"
	case "failed":
		out.Status = "error"
		out.Text = fmt.Sprint(ev.Err)
	default:
		out.Status = ev.State
	}
	return out
}

func stepName(ev build.Event) string {
	if ev.Stage != "" {
		return fmt.Sprintf("[%s %d/%d] %s", ev.Stage, ev.Step, ev.Total, ev.Name)
	}
	return fmt.Sprintf("[%d/%d] %s", ev.Step, ev.Total, ev.Name)
}

// runner runs the commands of builds in containers of their own.
type runner struct{ e *Engine }

// Run is build.Runner's.
func (r *runner) Run(ctx context.Context, s build.RunSpec) (code int, err error) {
	e := r.e
	config := engine.SandboxConfig{Name: newID()[:12], Group: "build", UID: newID(), Hostname: "buildkitsandbox", CgroupParent: "build"}
	switch s.Network {
	case build.NetworkHost:
		config.Network, config.Hostname = engine.Host, ""
	case build.NetworkNone:
		config.Offline = true
	}
	sandbox, err := e.CreateSandbox(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() {
		if rerr := e.RemoveSandbox(context.WithoutCancel(ctx), sandbox); err == nil {
			err = rerr
		}
	}()
	c, err := e.throwaway(ctx, sandbox, s)
	if err != nil {
		return 0, err
	}
	attached, joined := make(chan error, 1), make(chan struct{})
	go func() {
		attached <- e.Attach(ctx, c.record.ID, engine.Streams{
			Stdout: writer(s.Stdout), Stderr: writer(s.Stderr), Joined: func() { close(joined) },
		})
	}()
	select {
	case <-joined:
	case err := <-attached:
		return 0, err
	}
	if err := e.StartContainer(ctx, c.record.ID); err != nil {
		return 0, err
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := <-attached; err != nil {
		return 0, err
	}
	return c.view().ExitCode, nil
}

func writer(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// throwaway makes a container whose root is the build's: layers below, the step's own upper directory on top.
func (e *Engine) throwaway(ctx context.Context, sandbox string, s build.RunSpec) (*container, error) {
	config := engine.ContainerConfig{
		Name: "run", Command: s.Args, Env: s.Env, WorkingDir: s.Dir,
		Security: engine.Security{User: s.User},
	}
	root := overlay{lower: s.Lower, upper: s.Upper, work: s.Work}
	for _, m := range s.Mounts {
		em := engine.Mount{Source: m.Source, SubPath: m.SubPath, Target: m.Target, ReadOnly: m.ReadOnly}
		switch m.Type {
		case "tmpfs":
			em.Type = "tmpfs"
			if m.Size > 0 {
				em.Options = append(em.Options, fmt.Sprintf("size=%d", m.Size))
			}
			if m.Mode != 0 {
				em.Options = append(em.Options, fmt.Sprintf("mode=%o", m.Mode))
			}
		case "overlay":
			em.Layers, em.ReadOnly = m.Lower, true
		}
		config.Mounts = append(config.Mounts, em)
	}
	return e.newContainer(ctx, sandbox, config, image.Image{}, &root)
}
