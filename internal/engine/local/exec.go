package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Exec is engine.Containers'.
func (e *Engine) Exec(ctx context.Context, id string, x engine.ExecConfig) (int, error) {
	c, err := e.container(id)
	if err != nil {
		return 0, err
	}
	if c.state() != engine.ContainerRunning {
		return 0, fault.New(fault.Conflict, "exec in container %s: it does not run", c.record.Config.Name)
	}
	code, err := e.exec(ctx, c, x)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", c.record.Config.Name, err)
	}
	return code, nil
}

func (e *Engine) exec(ctx context.Context, c *container, x engine.ExecConfig) (int, error) {
	s, err := e.sandbox(c.record.SandboxID)
	if err != nil {
		return 0, err
	}
	im, err := e.images.Get(c.record.ImageID)
	if err != nil {
		return 0, err
	}
	in, err := e.processInput(c.view().Config, s.view(), im)
	if err != nil {
		return 0, err
	}
	process, filter, err := spec.CompileProcess(execInput(in, x))
	if err != nil {
		return 0, err
	}
	p := &pipes{}
	defer p.close()
	xc := keeper.Exec{
		Process: process, User: userOf(c.record.Config, im), Group: toUint32(c.record.Config.Security.Group),
		StrictGroups: c.record.Config.Security.StrictGroups, TTY: x.TTY, Seccomp: filter,
	}
	if x.User != "" {
		xc.User, xc.Group = x.User, nil
	}
	if !x.TTY {
		if err := p.open(x.Streams); err != nil {
			return 0, err
		}
		xc.Stdin, xc.Stdout, xc.Stderr = p.childIn, p.childOut, p.childErr
	}
	h, err := e.keeper.Exec(ctx, c.record.ID, xc)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	stop := context.AfterFunc(ctx, func() { h.Kill(int(syscall.SIGKILL)) })
	defer stop()
	if x.TTY {
		return runTTY(ctx, h, x.Streams)
	}
	p.started()
	p.copy(x.Streams)
	code, err := h.Wait(ctx)
	p.drain(ctx)
	return code, err
}

// execInput makes the process of an exec from its container's.
func execInput(in spec.Input, x engine.ExecConfig) spec.Input {
	in.Command, in.Args = x.Command, nil
	in.Env = append(append([]string(nil), in.Env...), x.Env...)
	if x.WorkingDir != "" {
		in.WorkingDir = x.WorkingDir
	}
	in.TTY = x.TTY
	in.Security.Privileged = in.Security.Privileged || x.Privileged
	return in
}

func runTTY(ctx context.Context, h keeper.ExecHandle, s engine.Streams) (int, error) {
	console := h.Console()
	defer console.Close()
	resizes(s.Resize, func(size keeper.Size) { h.Resize(size) })
	if s.Stdin != nil {
		go io.Copy(console, s.Stdin)
	}
	var wg sync.WaitGroup
	if s.Stdout != nil {
		wg.Go(func() { io.Copy(s.Stdout, console) }) // ends with EIO when the last process has closed it
	}
	code, err := h.Wait(ctx)
	wg.Wait()
	return code, err
}

func resizes(in <-chan engine.Size, f func(keeper.Size)) {
	if in == nil {
		return
	}
	go func() {
		for s := range in {
			f(keeper.Size{Width: s.Width, Height: s.Height})
		}
	}()
}

// pipes connects streams with the descriptors that the keeper hands to a process.
type pipes struct {
	childIn, childOut, childErr *os.File
	in, out, err                *os.File
	wg                          sync.WaitGroup
}

func (p *pipes) open(s engine.Streams) (err error) {
	if s.Stdin != nil {
		if p.childIn, p.in, err = os.Pipe(); err != nil {
			return err
		}
	}
	if s.Stdout != nil {
		if p.out, p.childOut, err = os.Pipe(); err != nil {
			return err
		}
	}
	if s.Stderr != nil && sameWriter(s.Stdout, s.Stderr) {
		p.childErr = p.childOut // one pipe keeps the order, and the writer is not used by two
	} else if s.Stderr != nil {
		if p.err, p.childErr, err = os.Pipe(); err != nil {
			return err
		}
	}
	return nil
}

// sameWriter compares what may be compared.
func sameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }() // a type that cannot be compared
	return a == b
}

// started closes the child's ends here, so that the end of the child is the end of the streams.
func (p *pipes) started() {
	for _, f := range []*os.File{p.childIn, p.childOut, p.childErr} {
		if f != nil {
			f.Close()
		}
	}
}

func (p *pipes) copy(s engine.Streams) {
	if p.in != nil {
		go func() { // may block in the reader for good; closing p.in is what ends the child's input
			io.Copy(p.in, s.Stdin)
			p.in.Close()
		}()
	}
	if p.out != nil {
		p.wg.Go(func() { io.Copy(s.Stdout, p.out) })
	}
	if p.err != nil {
		p.wg.Go(func() { io.Copy(s.Stderr, p.err) })
	}
}

// drain waits for the rest of the output: until nothing holds it open any more, or ctx ends.
func (p *pipes) drain(ctx context.Context) {
	now := time.Unix(1, 0)
	defer context.AfterFunc(ctx, func() {
		for _, f := range []*os.File{p.out, p.err} {
			if f != nil {
				f.SetReadDeadline(now)
			}
		}
	})()
	p.wg.Wait()
}

func (p *pipes) close() {
	p.started()
	for _, f := range []*os.File{p.in, p.out, p.err} {
		if f != nil {
			f.Close()
		}
	}
}

// Attach is engine.Containers'.
func (e *Engine) Attach(ctx context.Context, id string, s engine.Streams) error {
	c, err := e.container(id)
	if err != nil {
		return err
	}
	if c.state() == engine.ContainerExited {
		return fault.New(fault.Conflict, "attach to container %s: it has ended", c.record.Config.Name)
	}
	p := &pipes{}
	defer p.close()
	if s.TTY {
		s.Stderr = nil
	}
	if err := p.open(s); err != nil {
		return err
	}
	h, err := e.keeper.Attach(ctx, id, keeper.Attach{Stdin: p.childIn, Stdout: p.childOut, Stderr: p.childErr})
	if err != nil {
		return fmt.Errorf("attach to container %s: %w", c.record.Config.Name, err)
	}
	defer h.Close()
	resizes(s.Resize, func(size keeper.Size) { e.keeper.Resize(ctx, id, size) })
	p.started()
	if s.Joined != nil {
		s.Joined()
	}
	p.copy(s)
	err = h.Wait(ctx)
	if err != nil {
		if errors.Is(err, ctx.Err()) {
			return ctx.Err()
		}
		return err
	}
	p.drain(ctx)
	select { // the keeper's event is on its way
	case <-c.exited:
	case <-ctx.Done():
	}
	return ctx.Err()
}
