package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Exit codes that docker gives a meaning.
const (
	exitEngine      = 125
	exitCannotRun   = 126
	exitNotFound    = 127
	stopGracePeriod = 10 * time.Second
)

func (a *app) run() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run one plain container",
		Long:  "Run one plain container, without a cluster object. Flags mean what they mean to docker run.",
		Args:  cobra.MinimumNArgs(1),

		ValidArgsFunction: a.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.entrypointSet = cmd.Flags().Changed("entrypoint")
			c, err := a.config()
			if err != nil {
				return err
			}
			p, err := o.plan(args[0], args[1:], c.Places().Volumes(), os.LookupEnv)
			if err != nil {
				return &exitError{exitEngine, err}
			}
			err = a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error { return a.runPlan(ctx, e, p) })
			var own *exitError
			if err != nil && !errors.As(err, &own) { // there is no engine to ask
				err = &exitError{exitEngine, err}
			}
			return err
		},
	}
	o.register(cmd.Flags())
	completeFlag(cmd, "network", "bridge", "host", "none")
	completeFlag(cmd, "pull", "missing", "always", "never")
	completeFlag(cmd, "pid", "host")
	return cmd
}

// runPlan carries out a plan: pull, create, join, start, wait, clean up.
func (a *app) runPlan(ctx context.Context, e socket.Backend, p runPlan) (err error) {
	image, err := a.ensureImage(ctx, e, p)
	if err != nil {
		return &exitError{exitEngine, err}
	}
	for _, dir := range p.makeDirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return &exitError{exitEngine, err}
		}
	}
	p.container.Image = image
	if err := nameFree(ctx, e, p.sandbox); err != nil {
		return &exitError{exitEngine, err}
	}
	sandbox, err := e.CreateSandbox(ctx, p.sandbox)
	if err != nil {
		return &exitError{exitEngine, err}
	}
	cleanup := func() {
		if err := e.RemoveSandbox(context.WithoutCancel(ctx), sandbox); err != nil {
			fmt.Fprintln(a.err, "dhow: remove container:", err)
		}
	}
	id, err := e.CreateContainer(ctx, sandbox, p.container)
	if err != nil {
		cleanup()
		return &exitError{startCode(err), err}
	}
	if p.remove && !p.detach {
		defer cleanup()
	}
	if p.detach {
		if err := e.StartContainer(ctx, id); err != nil {
			cleanup()
			return &exitError{startCode(err), err}
		}
		fmt.Fprintln(a.out, id)
		return nil
	}
	return a.foreground(ctx, e, id, p)
}

func (a *app) ensureImage(ctx context.Context, e socket.Backend, p runPlan) (string, error) {
	if p.pull != "always" {
		image, err := e.Image(ctx, p.image)
		if err == nil {
			return image.ID, nil
		}
		if !fault.Is(err, fault.NotFound) || p.pull == "never" {
			return "", err
		}
		fmt.Fprintf(a.err, "Image %s is not here, pulling it\n", p.image)
	}
	return a.fetch(ctx, e, p.image, p.quiet)
}

// foreground joins the streams, starts, and takes over the container's exit code.
func (a *app) foreground(ctx context.Context, e socket.Backend, id string, p runPlan) error {
	streams := engine.Streams{Stdout: a.out, Stderr: a.err, TTY: p.container.TTY}
	if p.interactive {
		streams.Stdin = os.Stdin
	}
	if streams.TTY {
		restore, resize, err := rawTerminal()
		if err != nil {
			return &exitError{exitEngine, err}
		}
		defer restore()
		streams.Resize = resize
	} else {
		defer forward(ctx, e, id)()
	}
	attached, joined := make(chan error, 1), make(chan struct{})
	streams.Joined = func() { close(joined) }
	go func() { attached <- e.Attach(ctx, id, streams) }()
	select {
	case <-joined:
	case err := <-attached:
		return &exitError{exitEngine, err}
	}
	if err := e.StartContainer(ctx, id); err != nil {
		return &exitError{startCode(err), err}
	}
	if err := <-attached; err != nil {
		return &exitError{exitEngine, err}
	}
	c, err := waitExit(ctx, e, id)
	if err != nil {
		return &exitError{exitEngine, err}
	}
	if c.ExitCode != 0 {
		return &exitError{code: c.ExitCode}
	}
	return nil
}

// waitExit waits for the exit itself: a container may close its output and live on.
func waitExit(ctx context.Context, e socket.Backend, id string) (engine.Container, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := e.Events(ctx)
	if err != nil {
		return engine.Container{}, err
	}
	for {
		c, err := e.Container(ctx, id)
		if err != nil || c.State == engine.ContainerExited {
			return c, err
		}
		if _, ok := <-events; !ok {
			return c, fault.New(fault.Unavailable, "the engine went away while the container ran")
		}
	}
}

// rawTerminal hands the user's terminal to the container.
func rawTerminal() (restore func(), resize <-chan engine.Size, err error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, nil, fault.New(fault.Invalid, "-t needs a terminal on standard input: leave -t out")
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, nil, err
	}
	winch, sizes := make(chan os.Signal, 1), make(chan engine.Size, 1)
	signal.Notify(winch, syscall.SIGWINCH)
	winch <- syscall.SIGWINCH // the size it has now
	go func() {
		for range winch {
			if w, h, err := term.GetSize(fd); err == nil {
				sizes <- engine.Size{Width: uint16(w), Height: uint16(h)}
			}
		}
		close(sizes)
	}()
	return func() {
		signal.Stop(winch)
		close(winch)
		term.Restore(fd, state)
	}, sizes, nil
}

// forward stops the container when this command is asked to stop.
func forward(ctx context.Context, e socket.Backend, id string) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range signals {
			e.StopContainer(context.WithoutCancel(ctx), id, stopGracePeriod)
		}
	}()
	return func() { signal.Stop(signals); close(signals) }
}

// startCode tells docker's codes apart: 127 for a command that is not there, 126 for one that cannot be run.
func startCode(err error) int {
	switch text := err.Error(); {
	case !fault.Is(err, fault.Invalid):
		return exitEngine
	case strings.Contains(text, "no such file") || strings.Contains(text, "not found"):
		return exitNotFound
	case strings.Contains(text, "exec"):
		return exitCannotRun
	}
	return exitEngine
}
