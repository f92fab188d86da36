package engine

import (
	"context"
	"io"
)

// Library is what a person does with images beyond pulling them: an optional part of the contract, which
// external runtimes do not have.
type Library interface {
	Images
	Push(ctx context.Context, ref string, auths []Auth, progress func(Progress)) error
	// Tag gives image src (a ref or ID) the further name dst, taking it from another image if need be.
	Tag(ctx context.Context, src, dst string) error
	// Save writes an archive that docker load, skopeo and dhow load read.
	Save(ctx context.Context, refs []string, w io.Writer) error
	// Load reads a docker or OCI archive, compressed or not, and returns what it held.
	Load(ctx context.Context, r io.Reader, progress func(Progress)) ([]Image, error)
	// Inspect returns the image's OCI config as JSON.
	Inspect(ctx context.Context, ref string) ([]byte, error)
	// Build runs a Dockerfile and returns the image ID.
	Build(ctx context.Context, b BuildOptions, progress func(BuildEvent)) (string, error)
	// Prune removes what no tag and no container needs; returns the bytes freed.
	Prune(ctx context.Context, all bool) (int64, error)
}

// BuildOptions of one build. Paths are absolute and the engine's own.
type BuildOptions struct {
	Context    string // directory
	Dockerfile string // file; empty: Dockerfile in Context
	Tags       []string
	Target     string
	Args       map[string]string
	Labels     map[string]string
	Secrets    map[string]string // id → file
	Platform   string            // "linux/arm64"; empty: this machine's
	Network    string            // "", "none", "host" for RUN
	NoCache    bool
	Pull       bool // look for newer base images even if present
	Auths      []Auth
}

// BuildEvent is one thing that happened in a build, for people to see.
type BuildEvent struct {
	Step    int    // number of the vertex, from 1; 0 for the build as a whole
	Steps   int    // how many there are
	Name    string // "[build 2/4] RUN go build"
	Status  string // "start", "cached", "done", "error", "log", "progress"
	Text    string // for log: output; for error: what is wrong
	Done    int64  // for progress, in bytes
	Total   int64
	Seconds float64 // for done
}
