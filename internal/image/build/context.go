package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/image/layer"
	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// buildContext is the caller's files: a directory, a tar stream unpacked to one, or nothing.
type buildContext struct {
	dir        string // "" for none
	temp       string // to remove
	dockerfile string // name for messages
	data       []byte
	ignore     *patternmatcher.PatternMatcher
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func openContext(o *Options) (*buildContext, error) {
	c := &buildContext{dir: o.ContextDir}
	if o.Context != nil {
		if err := c.unpack(o); err != nil {
			c.close()
			return nil, fmt.Errorf("read context: %w", err)
		}
	}
	if err := c.read(o); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *buildContext) unpack(o *Options) error {
	tmp, err := o.Store.TempDir("context-")
	if err != nil {
		return err
	}
	c.temp, c.dir = tmp, tmp
	r, err := layer.Decompress(o.Context)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = layer.Unpack(context.Background(), tmp, r, layer.Limits{Bytes: 64 << 30, Inodes: 4_000_000, Plain: true})
	return err
}

// read finds the Dockerfile and the ignore file that goes with it (<Dockerfile>.dockerignore before .dockerignore).
func (c *buildContext) read(o *Options) error {
	c.dockerfile, c.data = o.Dockerfile, o.DockerfileData
	if c.dockerfile == "" {
		c.dockerfile = "Dockerfile"
	}
	var ignore []byte
	var err error
	if filepath.IsAbs(c.dockerfile) {
		if c.data == nil {
			if c.data, err = os.ReadFile(c.dockerfile); err != nil {
				return noDockerfile(c.dockerfile, err)
			}
		}
		ignore, err = os.ReadFile(c.dockerfile + ".dockerignore")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if c.dir == "" {
		if c.data == nil {
			return fault.New(fault.Invalid, "there is neither a context nor a Dockerfile")
		}
		return nil
	}
	root, err := union.Open(c.dir)
	if err != nil {
		return fault.New(fault.Invalid, "open context: %w", err)
	}
	defer root.Close()
	if c.data == nil {
		if c.data, err = root.ReadFile(c.dockerfile, 4<<20); err != nil {
			return noDockerfile(c.dockerfile, err)
		}
	}
	for _, name := range []string{c.dockerfile + ".dockerignore", ".dockerignore"} {
		if ignore != nil || filepath.IsAbs(name) {
			continue
		}
		if b, err := root.ReadFile(name, 4<<20); err == nil {
			ignore = b
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err == nil && len(patterns) > 0 {
		c.ignore, err = patternmatcher.New(patterns)
	}
	if err != nil {
		return fault.New(fault.Invalid, "read .dockerignore: %w", err)
	}
	return nil
}

func noDockerfile(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "there is no %s in the context: name another one with -f", fsat.Clean(name))
	}
	return fmt.Errorf("read Dockerfile: %w", err)
}

// tree opens the context for copying.
func (c *buildContext) tree() (*tree, error) {
	if c.dir == "" {
		f, err := union.Open()
		return &tree{fs: f, name: "the context (there is none)"}, err
	}
	f, err := union.Open(c.dir)
	return &tree{fs: f, ignore: c.ignore, name: "the context"}, err
}

func (c *buildContext) close() {
	if c.temp != "" {
		removeAll(c.temp)
	}
}
