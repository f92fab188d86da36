package cli

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
)

func (a *app) images() *cobra.Command {
	var output string
	var quiet bool
	cmd := &cobra.Command{
		Use:     "images [NAME]",
		Aliases: []string{"image"},
		Short:   "List the images of this node",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: a.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				images, err := e.ListImages(ctx)
				if err != nil {
					return err
				}
				if output == "json" {
					return printJSON(a.out, images)
				}
				rows := imageRows(images, strings.Join(args, ""))
				if quiet {
					for _, r := range rows {
						fmt.Fprintln(a.out, r[2])
					}
					return nil
				}
				table(a.out, []string{"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"}, rows)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json, or a table when left out")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "only IDs")
	return cmd
}

// imageRows has one row for each tag, newest first, or one for an image without any.
func imageRows(images []engine.Image, only string) [][]string {
	sort.Slice(images, func(i, j int) bool { return images[i].Created.After(images[j].Created) })
	var rows [][]string
	for _, image := range images {
		tags := image.Tags
		if len(tags) == 0 && only == "" {
			tags = []string{"<none>:<none>"}
		}
		for _, full := range tags {
			i := strings.LastIndex(full, ":")
			repo, tag := familiar(full[:i]), full[i+1:]
			if only != "" && only != repo && only != repo+":"+tag {
				continue
			}
			rows = append(rows, []string{repo, tag, short(image.ID), ago(image.Created), size(image.Size)})
		}
	}
	return rows
}

// familiar drops what docker users never type.
func familiar(repo string) string {
	repo = strings.TrimPrefix(repo, "docker.io/library/")
	return strings.TrimPrefix(repo, "docker.io/")
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}

func (a *app) tag() *cobra.Command {
	return &cobra.Command{
		Use:   "tag SOURCE TARGET",
		Short: "Give an image another name",
		Args:  cobra.ExactArgs(2),

		ValidArgsFunction: a.completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error { return e.Tag(ctx, args[0], args[1]) })
		},
	}
}

func (a *app) rmi() *cobra.Command {
	return &cobra.Command{
		Use:   "rmi IMAGE...",
		Short: "Remove images or their names",
		Args:  cobra.MinimumNArgs(1),

		ValidArgsFunction: a.completeImages(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				for _, ref := range args {
					if _, err := e.Image(ctx, ref); err != nil { // removing is idempotent, a typing error is not
						return err
					}
					if err := e.RemoveImage(ctx, ref); err != nil {
						return err
					}
					fmt.Fprintln(a.out, "Removed:", ref)
				}
				return nil
			})
		},
	}
}
