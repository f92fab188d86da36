package keeper

import (
	"context"
	"log/slog"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
)

// The types of the protocol, for those who only talk to a keeper.
type (
	Container = proto.Container
	Overlay   = proto.Overlay
	State     = proto.State
	Event     = proto.Event
	Size      = proto.Size
)

// What a container can be doing.
const (
	Created = proto.Created
	Running = proto.Running
	Exited  = proto.Exited
)

// Config says which keeper.
type Config struct {
	Dir    string // the engine's directory: socket, lock and states live in Dir/keeper
	Binary []byte // the keeper's program; nil: the embedded one, $DHOW_KEEPER, or dhow-keeper beside the executable
	Log    *slog.Logger
}

// Exec is one more process in a running container.
type Exec struct {
	Process               *specs.Process
	User                  string  // as in Container
	Group                 *uint32 // as in Container
	StrictGroups          bool
	Seccomp               *specs.LinuxSeccomp
	Stdin, Stdout, Stderr *os.File // nil: /dev/null; unused with TTY
	TTY                   bool
}

// Attach says which streams to join. nil ones are not connected. The keeper
// works on duplicates of the descriptors; pipes and sockets are best.
type Attach struct {
	Stdin, Stdout, Stderr *os.File
}

// ExecHandle is a started Exec.
type ExecHandle interface {
	Pid() int
	// Console is the master side of its terminal, nil without TTY. Wait does not close it.
	Console() *os.File
	// Wait gives its exit code, 128+n when signal n killed it. It may be called once.
	Wait(ctx context.Context) (int, error)
	Resize(Size) error
	Kill(sig int) error
	Close() error
}

// AttachHandle is a joined container.
type AttachHandle interface {
	// Wait returns when the container's output has ended or ctx does.
	Wait(ctx context.Context) error
	Close() error
}
