// Package build makes images from Dockerfiles.
//
// plan.go decides (Dockerfile and arguments become a graph of steps; pure), solve.go
// does (cache, copies, runs). It knows no engine: commands run through a Runner.
package build

import (
	"context"
	"io"
	"time"

	"github.com/dhow-project/dhow/internal/image"
)

// Options of one build.
type Options struct {
	Store *image.Store
	// The context: a directory, or a tar stream (gzip'd or not) when Context is not nil. Both empty: no context.
	ContextDir string
	Context    io.Reader
	// Dockerfile is a path below the context (default "Dockerfile"); DockerfileData wins when not nil.
	Dockerfile     string
	DockerfileData []byte
	Tags           []string
	Target         string
	BuildArgs      map[string]string
	Labels         map[string]string
	NoCache, Pull  bool
	Secrets        map[string][]byte
	Platform       *image.Platform
	Network        string   // default of RUN: "", "none", "host"
	Hosts          []string // "name:address"
	Runner         Runner
	Progress       func(Event)
	// PullFunc fetches a base image; nil uses Store.Pull without credentials.
	PullFunc func(ctx context.Context, ref string, p *image.Platform) (image.Image, error)
}

// Event tells what a step does. Events of one build come one at a time.
type Event struct {
	Step     int    // 1.. ; stable for one build
	Total    int    // steps of this build
	Stage    string // name of the stage, "" for a single one
	Name     string // the instruction as written
	State    string // "started", "cached", "done", "failed", "log"
	Stderr   bool
	Log      []byte // when State is "log"
	Duration time.Duration
	Err      error
}

// Network of a RUN.
const (
	NetworkDefault = ""
	NetworkNone    = "none"
	NetworkHost    = "host"
)

// Runner runs one command in a root file system made of layers.
type Runner interface {
	// Run mounts an overlay of Lower (topmost first; may be empty), Upper and Work with redirect_dir and metacopy off, runs Args in it with the mounts, waits, and unmounts.
	// A command that ran gives its exit code; err is for what kept it from running. Mount points it had to
	// make in Upper may stay: the builder removes the empty ones.
	Run(ctx context.Context, r RunSpec) (exitCode int, err error)
}

// RunSpec is one command of a build.
type RunSpec struct {
	Lower       []string
	Upper, Work string
	Args, Env   []string
	Dir         string // created by the builder before
	User        string // "", "app", "1000:1000"
	Network     string
	Mounts      []Mount
	Hosts       []string // "name:address"
	Stdout      io.Writer
	Stderr      io.Writer
}

// Mount is one extra mount of a RUN. Type is "bind" (Source, a host file or directory), "overlay" (Lower, read-only,
// SubPath of it; resolve it inside) or "tmpfs" (Size, Mode).
type Mount struct {
	Type     string
	Source   string
	Lower    []string
	SubPath  string
	Target   string
	ReadOnly bool
	Size     int64
	Mode     uint32
}
