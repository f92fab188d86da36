// Package cli is the command line: one file a command, commands.go lists them.
//
// It asks the engine through its socket and the cluster through its API, and starts
// nothing itself: main hands it a Host that can. Exit codes and how errors are shown are in exit.go.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Host is what the command line cannot do itself.
type Host struct {
	Version string
	// Up runs a cluster until ctx ends; step is called for everything done until it is ready.
	Up func(ctx context.Context, c config.Config, step func(config.Step)) error
	// Down stops a cluster with its containers; purge removes its data too.
	Down func(ctx context.Context, c config.Config, purge bool, step func(config.Step)) error
	// Engine opens the engine of a cluster that is not running, in this process.
	Engine func(ctx context.Context, c config.Config) (socket.Backend, error)
	// Credentials finds what the user logged in with for the registry of an image; Login checks and keeps it.
	Credentials func(ctx context.Context, ref string) ([]engine.Auth, error)
	Login       func(ctx context.Context, c config.Config, server, user, password string) error
	// Logout forgets it; NotFound when there was nothing to forget.
	Logout func(server string) error
	// Kubectl runs with arguments of its own and returns an exit code.
	Kubectl func(args []string) int
}

// app is what all commands share.
type app struct {
	host     Host
	out, err io.Writer
	flags    config.Config // --name, --data-dir
	file     string        // --config
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, host Host, args []string) int {
	a := &app{host: host, out: os.Stdout, err: os.Stderr}
	if code, done := a.foreign(args); done {
		return code
	}
	args = a.leading(args)
	root := a.root()
	root.SetArgs(args)
	root.SetContext(ctx)
	cmd, err := root.ExecuteC()
	return a.exit(cmd, err)
}

// foreign hands over to a program that reads its own flags: `dhow kubectl …`, also when this binary is
// called by that name.
func (a *app) foreign(args []string) (int, bool) {
	if filepath.Base(os.Args[0]) == "kubectl" {
		return a.host.Kubectl(args), true
	}
	if rest := a.leading(args); len(rest) > 0 && rest[0] == "kubectl" {
		return a.kubectl(rest[1:]), true
	}
	if len(args) > 2 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // a shell asks how the line goes on
		if rest := a.leading(args[1:]); len(rest) > 1 && rest[0] == "kubectl" {
			return a.kubectl(append(args[:1:1], rest[1:]...)), true
		}
	}
	return 0, false
}

// leading reads the flags that say which cluster, as far as they stand in front, and gives the rest. There they are the
// cluster's even where a command has a flag of the same name: dhow --name test run --name web.
func (a *app) leading(args []string) []string {
	a.flags.Name, a.flags.DataDir = os.Getenv("DHOW_NAME"), os.Getenv("DHOW_DATA_DIR")
	targets := map[string]*string{"--name": &a.flags.Name, "--data-dir": &a.flags.DataDir, "--config": &a.file}
	for len(args) > 0 {
		flag, value, joined := strings.Cut(args[0], "=")
		target := targets[flag]
		if target == nil || !joined && len(args) < 2 {
			break
		}
		if !joined {
			value, args = args[1], args[1:]
		}
		*target, args = value, args[1:]
	}
	return args
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "dhow",
		Short:         "Containers and Kubernetes in one small program",
		Long:          "dhow builds, stores and runs containers, and orchestrates them behind the Kubernetes API.\n\nStart with:  sudo dhow up -d  &&  dhow kubectl get nodes",
		Version:       a.host.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.Name, "name", a.flags.Name, "name of the cluster (default \"dhow\", or $DHOW_NAME); several can live side by side")
	flags.StringVar(&a.flags.DataDir, "data-dir", a.flags.DataDir, "where the cluster keeps its data (default /var/lib/dhow/NAME)")
	flags.StringVar(&a.file, "config", a.file, "YAML file with settings; flags win over it")
	for _, group := range commands() {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, make := range group.commands {
			cmd := make(a)
			cmd.GroupID = group.title
			root.AddCommand(cmd)
		}
	}
	return root
}

// config reads what the user decided: flags, then --config, then what the cluster kept.
func (a *app) config() (config.Config, error) {
	c := a.flags
	if a.file != "" {
		f, err := config.Read(a.file)
		if err != nil {
			return c, err
		}
		c = c.Merge(f)
	}
	c, err := c.Complete()
	if err != nil {
		return c, err
	}
	saved, err := config.Saved(c.DataDir)
	if err != nil {
		return c, err
	}
	return c.Merge(saved), nil
}

// withEngine runs f with the engine of the running daemon, or with one of this process's own.
func (a *app) withEngine(cmd *cobra.Command, f func(context.Context, socket.Backend) error) error {
	if os.Geteuid() != 0 {
		return needRoot(cmd)
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	remote := socket.New(c.Places().Socket())
	_, err = remote.Info(ctx)
	if err == nil {
		return f(ctx, remote)
	}
	if !fault.Is(err, fault.Unavailable) {
		return err
	}
	own, err := a.host.Engine(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, own), own.Close())
}

func needRoot(cmd *cobra.Command) error {
	return fault.New(fault.Denied, "%s needs root: run it with sudo", cmd.CommandPath())
}
