package fake

import (
	"context"
	"io"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (e *Engine) running(id string) (*container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	if c == nil {
		return nil, fault.New(fault.NotFound, "container %s: not found", id)
	}
	if c.State != engine.ContainerRunning {
		return nil, fault.New(fault.Unavailable, "container %s: is %s, not running", c.Config.Name, c.State)
	}
	return c, nil
}

// Exec interprets the command as process.go says; unknown programs are not found.
func (e *Engine) Exec(ctx context.Context, id string, x engine.ExecConfig) (int, error) {
	c, err := e.running(id)
	if err != nil {
		return 0, err
	}
	if !words[program(x.Command)] {
		return 0, fault.New(fault.Invalid, "exec %q: no such file or directory", strings.Join(x.Command, " "))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	in, out := x.Stdin, x.Stdout
	if in == nil {
		in = strings.NewReader("")
	}
	if out == nil {
		out = io.Discard
	}
	code, done := run(ctx, x.Command, in, out, append(c.Config.Env, x.Env...))
	if !done {
		return 137, ctx.Err()
	}
	return code, nil
}

// Attach shows what the container printed and waits for its end; when it is to start yet, in the other order.
func (e *Engine) Attach(ctx context.Context, id string, s engine.Streams) error {
	e.mu.Lock()
	c := e.containers[id]
	early := c != nil && c.State == engine.ContainerCreated
	e.mu.Unlock()
	if !early {
		var err error
		if c, err = e.running(id); err != nil {
			return err
		}
		c.show(s)
	}
	if s.Joined != nil {
		s.Joined()
	}
	if s.Joined != nil {
		s.Joined()
	}
	select {
	case <-c.gone:
		if early {
			c.show(s)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *container) show(s engine.Streams) {
	if s.Stdout == nil {
		return
	}
	c.logMu.Lock()
	out := append([]byte(nil), c.output...)
	c.logMu.Unlock()
	s.Stdout.Write(out)
}

// ReopenLog implements engine.Engine.
func (e *Engine) ReopenLog(_ context.Context, id string) error {
	c, err := e.running(id)
	if err != nil {
		return err
	}
	e.mu.Lock()
	dir := e.sandboxes[c.SandboxID].Config.LogDir
	e.mu.Unlock()
	c.closeLog()
	c.logMu.Lock()
	defer c.logMu.Unlock()
	return c.openLog(dir)
}
