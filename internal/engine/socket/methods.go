package socket

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// The methods of the contract, in the order of server.go.

func (c *Client) Info(ctx context.Context) (engine.Info, error) {
	return plain[engine.Info](ctx, c, "Info", struct{}{})
}

// Close closes the connections, not the engine.
func (c *Client) Close() error { c.http.CloseIdleConnections(); return nil }

func (c *Client) Pull(ctx context.Context, ref string, auths []engine.Auth, p func(engine.Progress)) (string, error) {
	return call[string](ctx, c, "Pull", pullArgs{ref, auths}, p)
}
func (c *Client) Push(ctx context.Context, ref string, auths []engine.Auth, p func(engine.Progress)) error {
	_, err := call[struct{}](ctx, c, "Push", pullArgs{ref, auths}, p)
	return err
}
func (c *Client) Build(ctx context.Context, b engine.BuildOptions, p func(engine.BuildEvent)) (string, error) {
	return call[string](ctx, c, "Build", b, p)
}
func (c *Client) Image(ctx context.Context, ref string) (engine.Image, error) {
	return plain[engine.Image](ctx, c, "Image", ref)
}
func (c *Client) ListImages(ctx context.Context) ([]engine.Image, error) {
	return plain[[]engine.Image](ctx, c, "ListImages", struct{}{})
}
func (c *Client) RemoveImage(ctx context.Context, ref string) error {
	return act(ctx, c, "RemoveImage", ref)
}
func (c *Client) ImageUsage(ctx context.Context) (engine.Usage, error) {
	return plain[engine.Usage](ctx, c, "ImageUsage", struct{}{})
}
func (c *Client) Tag(ctx context.Context, src, dst string) error {
	return act(ctx, c, "Tag", tagArgs{src, dst})
}
func (c *Client) Inspect(ctx context.Context, ref string) ([]byte, error) {
	return plain[[]byte](ctx, c, "Inspect", ref)
}
func (c *Client) Prune(ctx context.Context, all bool) (int64, error) {
	return plain[int64](ctx, c, "Prune", all)
}
func (c *Client) Save(ctx context.Context, refs []string, w io.Writer) error {
	_, err := streamed[struct{}](ctx, c, "Save", refs, engine.Streams{Stdout: w})
	return err
}
func (c *Client) Load(ctx context.Context, r io.Reader, _ func(engine.Progress)) ([]engine.Image, error) {
	return streamed[[]engine.Image](ctx, c, "Load", struct{}{}, engine.Streams{Stdin: r})
}

func (c *Client) CreateSandbox(ctx context.Context, s engine.SandboxConfig) (string, error) {
	return plain[string](ctx, c, "CreateSandbox", s)
}
func (c *Client) StopSandbox(ctx context.Context, id string) error {
	return act(ctx, c, "StopSandbox", id)
}
func (c *Client) RemoveSandbox(ctx context.Context, id string) error {
	return act(ctx, c, "RemoveSandbox", id)
}
func (c *Client) Sandbox(ctx context.Context, id string) (engine.Sandbox, error) {
	return plain[engine.Sandbox](ctx, c, "Sandbox", id)
}
func (c *Client) ListSandboxes(ctx context.Context, f engine.Filter) ([]engine.Sandbox, error) {
	return plain[[]engine.Sandbox](ctx, c, "ListSandboxes", f)
}
func (c *Client) SandboxStats(ctx context.Context, id string) (engine.SandboxStats, error) {
	return plain[engine.SandboxStats](ctx, c, "SandboxStats", id)
}

// Dial connects through the daemon.
func (c *Client) Dial(ctx context.Context, id string, port uint16) (io.ReadWriteCloser, error) {
	if _, err := c.Sandbox(ctx, id); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		streamed[struct{}](ctx, c, "Dial", dialArgs{id, port}, engine.Streams{Stdin: far, Stdout: far})
	}()
	return near, nil
}

func (c *Client) CreateContainer(ctx context.Context, sandbox string, config engine.ContainerConfig) (string, error) {
	return plain[string](ctx, c, "CreateContainer", createArgs{sandbox, config})
}
func (c *Client) StartContainer(ctx context.Context, id string) error {
	return act(ctx, c, "StartContainer", id)
}
func (c *Client) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	return act(ctx, c, "StopContainer", stopArgs{id, grace})
}
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	return act(ctx, c, "RemoveContainer", id)
}
func (c *Client) Container(ctx context.Context, id string) (engine.Container, error) {
	return plain[engine.Container](ctx, c, "Container", id)
}
func (c *Client) ListContainers(ctx context.Context, f engine.Filter) ([]engine.Container, error) {
	return plain[[]engine.Container](ctx, c, "ListContainers", f)
}
func (c *Client) UpdateResources(ctx context.Context, id string, r engine.Resources) error {
	return act(ctx, c, "UpdateResources", updateArgs{id, r})
}
func (c *Client) ReopenLog(ctx context.Context, id string) error {
	return act(ctx, c, "ReopenLog", id)
}
func (c *Client) ContainerStats(ctx context.Context, id string) (engine.ContainerStats, error) {
	return plain[engine.ContainerStats](ctx, c, "ContainerStats", id)
}
func (c *Client) Exec(ctx context.Context, id string, e engine.ExecConfig) (int, error) {
	return streamed[int](ctx, c, "Exec", execArgs{id, e.Command, e.User, e.Env, e.WorkingDir, e.Privileged, streamsOf(e.Streams)}, e.Streams)
}
func (c *Client) Attach(ctx context.Context, id string, s engine.Streams) error {
	_, err := streamed[struct{}](ctx, c, "Attach", attachArgs{id, streamsOf(s)}, s)
	return err
}

// Events delivers events until ctx ends or the daemon goes away.
func (c *Client) Events(ctx context.Context) (<-chan engine.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	out, started := make(chan engine.Event, 64), make(chan error, 1)
	go func() {
		defer cancel()
		defer close(out)
		first := true
		_, err := call[struct{}](ctx, c, "Events", struct{}{}, func(e engine.Event) {
			if first {
				first = false
				started <- nil
				return
			}
			select {
			case out <- e:
			case <-ctx.Done():
			}
		})
		if first {
			if err == nil {
				err = fault.New(fault.Unavailable, "the engine sends no events")
			}
			started <- err
		}
	}()
	return out, <-started
}
