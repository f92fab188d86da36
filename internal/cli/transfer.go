package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (a *app) pull() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "pull IMAGE",
		Short: "Fetch an image from a registry",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				id, err := a.fetch(ctx, e, args[0], quiet)
				if err == nil {
					fmt.Fprintln(a.out, id)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

// fetch pulls with the user's credentials and shows progress on stderr.
func (a *app) fetch(ctx context.Context, e engine.Images, ref string, quiet bool) (string, error) {
	auths, err := a.host.Credentials(ctx, ref)
	if err != nil {
		return "", err
	}
	bars := newBars(a.err, quiet)
	defer bars.done()
	return e.Pull(ctx, ref, auths, bars.layer)
}

func (a *app) push() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "push IMAGE",
		Short: "Send an image to a registry",
		Args:  cobra.ExactArgs(1),

		ValidArgsFunction: a.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			auths, err := a.host.Credentials(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				bars := newBars(a.err, quiet)
				defer bars.done()
				return e.Push(ctx, args[0], auths, bars.layer)
			})
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

func (a *app) save() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "save IMAGE...",
		Short: "Write images into an archive that docker load and skopeo read",
		Args:  cobra.MinimumNArgs(1),

		ValidArgsFunction: a.completeImages(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" && isTerminal(a.out) {
				return fault.New(fault.Invalid, "save writes an archive: name a file with -o, or redirect the output")
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) (err error) {
				if output == "" {
					return e.Save(ctx, args, a.out)
				}
				f, err := os.OpenFile(output+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
				if err != nil {
					return err
				}
				defer os.Remove(output + ".part")
				if err := errors.Join(e.Save(ctx, args, f), f.Close()); err != nil {
					return err
				}
				return os.Rename(output+".part", output)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; standard output when left out")
	return cmd
}

func (a *app) load() *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Read images from a docker or OCI archive",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r io.Reader = os.Stdin
			if input != "" {
				f, err := os.Open(input)
				if err != nil {
					return fault.As(fault.Invalid, err)
				}
				defer f.Close()
				r = f
			} else if isTerminal(os.Stdin) {
				return fault.New(fault.Invalid, "load reads an archive: name a file with -i, or redirect the input")
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				images, err := e.Load(ctx, r, nil)
				for _, image := range images {
					fmt.Fprintln(a.out, "Loaded:", strings.Join(append(image.Tags, image.ID)[:max(1, len(image.Tags))], " "))
				}
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "file to read; standard input when left out")
	return cmd
}
