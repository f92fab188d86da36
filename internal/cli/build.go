package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (a *app) build() *cobra.Command {
	var (
		b                     engine.BuildOptions
		args, labels, secrets []string
		progress, idFile      string
		quiet                 bool
	)
	cmd := &cobra.Command{
		Use:   "build [flags] PATH",
		Short: "Build an image from a Dockerfile",
		Long:  "Build an image from a Dockerfile. The image is usable on this node at once: by 'dhow run', and by pods that name it.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) (err error) {
			if err = buildPaths(&b, paths[0]); err != nil {
				return err
			}
			if b.Args, err = pairs("--build-arg", args, os.LookupEnv); err != nil {
				return err
			}
			if b.Labels, err = pairs("--label", labels, nil); err != nil {
				return err
			}
			if b.Secrets, err = secretFiles(secrets); err != nil {
				return err
			}
			return a.withEngine(cmd, func(ctx context.Context, e socket.Backend) error {
				view := newBuildView(a.err, quiet, progress)
				id, err := e.Build(ctx, b, view.event)
				view.done(err)
				if err != nil {
					return err
				}
				if idFile != "" {
					if err := os.WriteFile(idFile, []byte(id), 0o644); err != nil {
						return err
					}
				}
				fmt.Fprintln(a.out, id)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&b.Tags, "tag", "t", nil, "name of the image, NAME:TAG; may be repeated")
	f.StringVarP(&b.Dockerfile, "file", "f", "", "Dockerfile (default PATH/Dockerfile)")
	f.StringVar(&b.Target, "target", "", "stage to stop at")
	f.StringArrayVar(&args, "build-arg", nil, "NAME=VALUE, or NAME for the environment's")
	f.StringArrayVar(&labels, "label", nil, "NAME=VALUE to put on the image")
	f.StringArrayVar(&secrets, "secret", nil, "id=ID,src=FILE for RUN --mount=type=secret")
	f.StringVar(&b.Platform, "platform", "", "such as linux/arm64 (default: this machine's)")
	f.StringVar(&b.Network, "network", "", "network of RUN steps: none, host, or a private one when left out")
	f.BoolVar(&b.NoCache, "no-cache", false, "run every step")
	f.BoolVar(&b.Pull, "pull", false, "look for newer base images")
	f.BoolVarP(&quiet, "quiet", "q", false, "only the image ID")
	f.StringVar(&progress, "progress", "auto", "auto or plain")
	f.StringVar(&idFile, "iidfile", "", "file to write the image ID to")
	return cmd
}

func buildPaths(b *engine.BuildOptions, path string) error {
	if path == "-" || strings.Contains(path, "://") {
		return fault.New(fault.Invalid, "build context %q: only a directory of this machine is supported", path)
	}
	var err error
	if b.Context, err = filepath.Abs(path); err != nil {
		return err
	}
	if fi, err := os.Stat(b.Context); err != nil || !fi.IsDir() {
		return fault.New(fault.Invalid, "build context %q is no directory", path)
	}
	if b.Dockerfile != "" {
		if b.Dockerfile, err = filepath.Abs(b.Dockerfile); err != nil {
			return err
		}
	}
	return nil
}

// pairs reads NAME=VALUE; a bare NAME takes its value from lookup, and is left out when that has none.
func pairs(flag string, in []string, lookup func(string) (string, bool)) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range in {
		name, value, ok := strings.Cut(s, "=")
		if name == "" {
			return nil, fault.New(fault.Invalid, "%s %q: use NAME=VALUE", flag, s)
		}
		if !ok && lookup != nil {
			if value, ok = lookup(name); !ok {
				continue
			}
		}
		out[name] = value
	}
	return out, nil
}

func secretFiles(in []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range in {
		var id, src string
		for _, part := range strings.Split(s, ",") {
			switch key, value, _ := strings.Cut(part, "="); key {
			case "id":
				id = value
			case "src", "source":
				src = value
			}
		}
		if id == "" || src == "" {
			return nil, fault.New(fault.Invalid, "--secret %q: use id=ID,src=FILE", s)
		}
		path, err := filepath.Abs(src)
		if err != nil {
			return nil, err
		}
		out[id] = path
	}
	return out, nil
}
