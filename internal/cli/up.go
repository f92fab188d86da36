package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// progressFD tells a daemon in the background where to report its steps.
const progressFD = "DHOW_PROGRESS_FD"

func (a *app) up() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster",
		Long: "Start the cluster and wait until its node is ready.\n\n" +
			"In the foreground it stays and shows a status line; Ctrl-C stops the cluster with its containers.\n" +
			"With -d it goes on in the background until 'dhow down'. Stopping the daemon with SIGTERM leaves containers running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return needRoot(cmd)
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			if r, err := c.Places().ReadRunning(); err == nil && c.Places().Held() && os.Getenv(progressFD) == "" {
				return fault.New(fault.Exists, "cluster %q is running already (pid %d): use 'dhow status', or --name for another one", c.Name, r.PID)
			}
			switch {
			case os.Getenv(progressFD) != "":
				return a.upBackground(cmd.Context(), c)
			case detach:
				return a.upDetached(cmd.Context(), c)
			}
			return a.upForeground(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&detach, "detach", "d", false, "go on in the background once the cluster is ready")
	f.StringVar(&a.flags.Listen, "listen", "", "address of the API server (default 127.0.0.1:6443, or the next free port)")
	f.StringVar(&a.flags.PodCIDR, "pod-cidr", "", "network of the pods (default 10.42.0.0/16, or the next free one)")
	f.StringVar(&a.flags.ServiceCIDR, "service-cidr", "", "network of the services (default 10.43.0.0/16, or the next free one)")
	f.StringVar(&a.flags.NodeName, "node-name", "", "name of this node (default: the host's)")
	f.StringVar(&a.flags.Registry, "registry", "", "serve this node's images at ADDRESS:PORT to docker, podman and others; without authentication, so keep it on 127.0.0.1")
	f.StringVar(&a.flags.LogLevel, "log-level", "", "debug, info, warn or error (default info)")
	completeFlag(cmd, "log-level", "debug", "info", "warn", "error")
	return cmd
}

// upBackground is the daemon's own process: it reports to the one that started it.
func (a *app) upBackground(ctx context.Context, c config.Config) error {
	fd, err := strconv.Atoi(os.Getenv(progressFD))
	if err != nil {
		return fault.New(fault.Invalid, "%s=%q is no file descriptor", progressFD, os.Getenv(progressFD))
	}
	os.Unsetenv(progressFD)
	syscall.CloseOnExec(fd)
	if err := os.Chdir("/"); err != nil { // where the user was may go away; what the user named was looked up there
		return err
	}
	pipe := os.NewFile(uintptr(fd), "progress")
	report := func(s config.Step) {
		json.NewEncoder(pipe).Encode(s) // nobody may be listening any more
		if s.Ready {
			pipe.Close()
		}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = a.host.Up(ctx, c, report)
	if err != nil {
		report(config.Step{Error: err.Error(), Kind: fault.Of(err)})
	}
	return err
}

// upDetached starts the daemon in a session of its own and shows its steps until it is ready.
func (a *app) upDetached(ctx context.Context, c config.Config) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := time.Now()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	logs, err := openLog(c)
	if err != nil {
		return err
	}
	defer logs.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	daemon := exec.Command(exe, os.Args[1:]...)
	daemon.Env = append(os.Environ(), progressFD+"=3")
	daemon.ExtraFiles = []*os.File{w}
	daemon.Stdout, daemon.Stderr = logs, logs
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = daemon.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	// An interrupted start must leave nothing half-started.
	defer context.AfterFunc(ctx, func() { daemon.Process.Signal(syscall.SIGTERM) })()
	if err := a.showSteps(r, started); err != nil {
		daemon.Wait()
		return cmp.Or(ctx.Err(), err)
	}
	return daemon.Process.Release()
}

func openLog(c config.Config) (*os.File, error) {
	path := c.Places().DaemonLog()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func (a *app) showSteps(r io.Reader, started time.Time) error {
	steps := json.NewDecoder(r)
	for {
		var s config.Step
		if err := steps.Decode(&s); err != nil {
			return fault.New(fault.Unavailable, "the daemon ended before it was ready: see its log, dhow.log in the data directory")
		}
		switch {
		case s.Error != "":
			return fault.As(s.Kind, errors.New(s.Error))
		case s.Ready:
			a.showReady(s, time.Since(started))
			return nil
		}
		a.showStep(s)
	}
}

func (a *app) showStep(s config.Step) {
	fmt.Fprintf(a.out, " %s %-28s %9s  %s\n", green(a.out, "✓"), s.Name, millis(s.Took), dim(a.out, s.Note))
}

func (a *app) showReady(s config.Step, total time.Duration) {
	fmt.Fprintf(a.out, "\n%s in %s. %s\n", bold(a.out, "Ready"), millis(total), s.Note)
	fmt.Fprintf(a.out, "Next: %s, %s, %s\n", "dhow kubectl get nodes", "dhow build -t IMAGE .", "dhow status")
}

// upForeground runs the cluster in this process. Ctrl-C stops everything.
func (a *app) upForeground(ctx context.Context, c config.Config) error {
	started := time.Now()
	term, stopTerm := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stopTerm()
	both, stop := signal.NotifyContext(term, os.Interrupt)
	defer stop()
	err := a.host.Up(both, c, func(s config.Step) {
		if !s.Ready {
			a.showStep(s)
			return
		}
		a.showReady(s, time.Since(started))
		fmt.Fprintln(a.out, dim(a.out, "Ctrl-C stops the cluster and its containers."))
	})
	if err != nil || term.Err() != nil {
		return err
	}
	fmt.Fprintln(a.out, "\nStopping")
	return a.host.Down(context.WithoutCancel(ctx), c, false, a.showStep)
}
