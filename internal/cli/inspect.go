package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
)

func (a *app) inspect() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "inspect IMAGE...",
		Short:   "Show everything about images, as JSON",
		Example: "  dhow inspect -f '{{.Config.Entrypoint}}' app:v1",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: a.completeImages(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, err := parseFormat(format)
			if err != nil {
				return err
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				var all []inspected
				for _, ref := range args {
					image, err := e.Image(ctx, ref)
					if err != nil {
						return err
					}
					raw, err := e.Inspect(ctx, ref)
					if err != nil {
						return err
					}
					i, err := inspect(image, raw)
					if err != nil {
						return fmt.Errorf("inspect %s: %w", ref, err)
					}
					all = append(all, i)
				}
				if show == nil {
					return printJSON(a.out, all)
				}
				for _, i := range all {
					text, err := show.render(i)
					if err != nil {
						return err
					}
					fmt.Fprintln(a.out, text)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "for each image: json, or text with {{.Field.Field}} and {{json .Field}}")
	return cmd
}

// inspected is an image in the words of docker's inspect.
type inspected struct {
	ID           string `json:"Id"`
	RepoTags     []string
	RepoDigests  []string
	Created      *time.Time `json:",omitempty"` // as its builder said
	Author       string
	Architecture string
	Variant      string `json:",omitempty"`
	Os           string
	Size         int64 // bytes
	RootFS       rootFS
	Config       imageConfig
}

type rootFS struct {
	Type   string
	Layers []string // diff IDs, the lowest first
}

// imageConfig has the fields of OCI's image configuration that docker shows, and docker's own.
type imageConfig struct {
	User         string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Env          []string
	Entrypoint   []string
	Cmd          []string
	Volumes      map[string]struct{} `json:",omitempty"`
	WorkingDir   string
	Labels       map[string]string
	StopSignal   string          `json:",omitempty"`
	Shell        []string        `json:",omitempty"`
	OnBuild      []string        `json:",omitempty"`
	Healthcheck  json.RawMessage `json:",omitempty"`
}

// inspect joins what the engine knows of an image with the image's own configuration.
func inspect(image engine.Image, raw []byte) (inspected, error) {
	var own struct {
		Created                           *time.Time
		Author, Architecture, Variant, Os string
		RootFS                            struct {
			Type    string
			DiffIDs []string `json:"diff_ids"`
		}
		Config imageConfig
	}
	if err := json.Unmarshal(raw, &own); err != nil {
		return inspected{}, fmt.Errorf("read the image's configuration: %w", err)
	}
	return inspected{
		ID: image.ID, RepoTags: familiars(image.Tags), RepoDigests: familiars(image.Digests), Size: image.Size,
		Created: own.Created, Author: own.Author, Architecture: own.Architecture, Variant: own.Variant, Os: own.Os,
		RootFS: rootFS{own.RootFS.Type, own.RootFS.DiffIDs}, Config: own.Config,
	}, nil
}

func familiars(refs []string) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = familiar(r)
	}
	return out
}
