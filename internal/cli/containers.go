package cli

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// plain is a container that run made, and the sandbox it lives in.
type plain struct {
	engine.Container
	sandbox engine.Sandbox
	image   string // as users know it
}

func (p plain) name() string { return p.sandbox.Config.Name }

// listPlain gives all of them, the newest first.
func listPlain(ctx context.Context, e socket.Backend) ([]plain, error) {
	sandboxes, err := e.ListSandboxes(ctx, engine.Filter{Labels: map[string]string{"dhow.kind": "run"}})
	if err != nil {
		return nil, err
	}
	images, err := e.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, i := range images {
		if len(i.Tags) > 0 {
			names[i.ID] = familiar(i.Tags[0])
		}
	}
	var all []plain
	for _, s := range sandboxes {
		containers, err := e.ListContainers(ctx, engine.Filter{SandboxID: s.ID})
		if err != nil {
			return nil, err
		}
		for _, c := range containers {
			image := names[c.Config.Image]
			if image == "" {
				image = short(c.Config.Image)
			}
			all = append(all, plain{c, s, image})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Created.After(all[j].Created) })
	return all, nil
}

// findPlain knows one by its name, or by as much of its ID as makes it the only one.
func findPlain(all []plain, ref string) (plain, error) {
	var found []plain
	for _, p := range all {
		if p.name() == ref || p.ID == ref {
			return p, nil
		}
		if strings.HasPrefix(p.ID, ref) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return plain{}, fault.New(fault.NotFound, "no container %q: see 'dhow ps -a'", ref)
	case 1:
		return found[0], nil
	}
	return plain{}, fault.New(fault.Invalid, "%d containers begin with %q: use more of the ID", len(found), ref)
}

// nameFree refuses a name that a plain container has, whether it runs or not.
func nameFree(ctx context.Context, e socket.Backend, s engine.SandboxConfig) error {
	name := s.Name
	if name == s.UID { // nobody chose it
		return nil
	}
	all, err := listPlain(ctx, e)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.name() == name {
			return fault.New(fault.Exists, "the name %q is that of container %s: remove it with 'dhow rm %s', or use another name", name, short(p.ID), name)
		}
	}
	return nil
}

func (a *app) ps() *cobra.Command {
	var all, quiet, full bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List plain containers",
		Long:  "List the containers that 'dhow run' made and that run; those of pods are kubectl's business.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				list, err := listPlain(ctx, e)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, p := range list {
					if !all && p.State != engine.ContainerRunning {
						continue
					}
					row := psRow(p, full)
					if quiet {
						fmt.Fprintln(a.out, row[0])
					}
					rows = append(rows, row)
				}
				if !quiet {
					table(a.out, []string{"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"}, rows)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those that have ended, too")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "only IDs")
	cmd.Flags().BoolVar(&full, "no-trunc", false, "whole IDs and commands")
	return cmd
}

func psRow(p plain, full bool) []string {
	id, command := p.ID, strconv.Quote(strings.Join(append(p.Config.Command, p.Config.Args...), " "))
	if !full {
		id = short(id)
		if len(command) > 20 {
			command = command[:18] + `…"`
		}
	}
	var ports []string
	for _, m := range p.sandbox.Config.Ports {
		ip := m.HostIP
		if ip == "" {
			ip = "0.0.0.0"
		}
		ports = append(ports, fmt.Sprintf("%s:%d->%d/%s", ip, m.HostPort, m.ContainerPort, m.Protocol))
	}
	return []string{id, p.image, command, ago(p.Created), psStatus(p.Container), strings.Join(ports, ", "), p.name()}
}

func psStatus(c engine.Container) string {
	switch c.State {
	case engine.ContainerRunning:
		return "Up " + strings.TrimSuffix(ago(c.Started), " ago")
	case engine.ContainerExited:
		return fmt.Sprintf("Exited (%d) %s", c.ExitCode, ago(c.Finished))
	}
	return strings.ToUpper(c.State[:1]) + c.State[1:]
}

// eachPlain does something with all that are named, and says which it was done with.
func (a *app) eachPlain(cmd *cobra.Command, refs []string, do func(context.Context, socket.Backend, plain) error) error {
	return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
		all, err := listPlain(ctx, e)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			p, err := findPlain(all, ref)
			if err != nil {
				return err
			}
			if err := do(ctx, e, p); err != nil {
				return err
			}
			fmt.Fprintln(a.out, ref)
		}
		return nil
	})
}

func (a *app) stop() *cobra.Command {
	grace := int(stopGracePeriod.Seconds())
	cmd := &cobra.Command{
		Use:               "stop CONTAINER...",
		Short:             "Stop plain containers",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completePlain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachPlain(cmd, args, func(ctx context.Context, e socket.Backend, p plain) error {
				return e.StopContainer(ctx, p.ID, time.Duration(grace)*time.Second)
			})
		},
	}
	cmd.Flags().IntVarP(&grace, "time", "t", grace, "seconds it gets to end by itself")
	return cmd
}

func (a *app) rm() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:               "rm CONTAINER...",
		Short:             "Remove plain containers",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completePlain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachPlain(cmd, args, func(ctx context.Context, e socket.Backend, p plain) error {
				if p.State == engine.ContainerRunning && !force {
					return fault.New(fault.Conflict, "container %s is running: stop it first, or use rm -f", p.name())
				}
				return e.RemoveSandbox(ctx, p.sandbox.ID)
			})
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill it when it runs")
	return cmd
}

func (a *app) completePlain(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := a.config()
	if err != nil || os.Geteuid() != 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	e := socket.New(c.Places().Socket())
	defer e.Close()
	all, err := listPlain(cmd.Context(), e)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, p := range all {
		names = append(names, p.name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
