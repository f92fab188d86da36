// Package proto is what the keeper and its clients say to each other: the
// types and the frames that carry them over a unix socket.
//
// It must stay small, because it is linked into the keeper. Read types.go
// first, then frame.go.
package proto

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Container is everything the keeper needs to make one.
type Container struct {
	ID   string
	Spec *specs.Spec
	// Overlay is the root file system; nil means Spec.Root.Path is a directory that is one.
	Overlay *Overlay `json:",omitempty"`
	// User, when not empty, is resolved in the root file system ("app", "app:staff", "1000") and
	// replaces the uid and gid of Spec.Process.User; its AdditionalGids are kept.
	User string `json:",omitempty"`
	// Group overrides the primary group that User gives.
	Group *uint32 `json:",omitempty"`
	// StrictGroups leaves out the groups that the image's /etc/group would add.
	StrictGroups bool `json:",omitempty"`
	// LogPath gets stdout and stderr in CRI log format; empty: none is kept.
	LogPath string `json:",omitempty"`
	// Stdin keeps an input open for Attach; StdinOnce closes it when the first attached input ends.
	Stdin, StdinOnce bool `json:",omitempty"`
	// TTY gives it a terminal of the size of Spec.Process.ConsoleSize.
	TTY bool `json:",omitempty"`
	// Init runs the keeper's own minimal init instead of a command: it reaps what is orphaned in a PID
	// namespace that several containers share, and ends only when killed.
	Init bool `json:",omitempty"`
	// Seccomp is the compiled form of Spec.Linux.Seccomp. The client fills it in.
	Seccomp *Filter `json:",omitempty"`
	// Cgroups are the directories of its cgroup: one on v2, one a hierarchy on v1. The client fills it in.
	Cgroups []string `json:",omitempty"`
}

// Filter is a compiled seccomp program.
type Filter struct {
	Program []byte // struct sock_filter[]
	Flags   uint32
}

// Overlay is a root file system that is mounted in the container's own mount
// namespace only. Lower goes from the topmost to the lowest layer. An empty Upper makes it read-only.
type Overlay struct {
	Lower       []string
	Upper, Work string
	Volatile    bool `json:",omitempty"` // what is written is worth nothing after a crash of the machine
}

// What a container can be doing.
const (
	Created = "created"
	Running = "running"
	Exited  = "exited"
)

// State is what the keeper knows of a container. It remembers it until Delete.
type State struct {
	ID                         string
	Pid                        int
	Status                     string
	Created, Started, Finished time.Time
	ExitCode                   int // 128+Signal when killed
	Signal                     int
	OOMKilled                  bool
	Message                    string // why it was lost or could not start
	UID, GID                   uint32
	Groups                     []uint32
	Cgroups                    []string
}

// Event says that a container changed to State. Seq grows by one with every event of a keeper's life.
type Event struct {
	Seq   uint64
	State State
}

// Exec is one more process in a running container. nil descriptors are
// /dev/null; with TTY they are not used.
type Exec struct {
	Process *specs.Process
	// User and StrictGroups mean what they mean in Container.
	User         string  `json:",omitempty"`
	Group        *uint32 `json:",omitempty"`
	StrictGroups bool    `json:",omitempty"`
	TTY          bool    `json:",omitempty"`
	Seccomp      *Filter `json:",omitempty"`
}

// Size of a terminal in characters.
type Size struct{ Width, Height uint16 }
