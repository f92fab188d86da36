package launch

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func specOf(e *proto.Exec) *specs.Spec { return &specs.Spec{Process: e.Process} }

// execConsole makes a terminal in the devpts of the container. What is found at /dev/pts must be one.
func execConsole(e *proto.Exec, r *room) error {
	how := uint64(unix.O_PATH | unix.O_DIRECTORY)
	pts, err := mount.OpenIn(r.root, "dev/pts", how)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	r.own(pts)
	var st unix.Statfs_t
	if err := unix.Fstatfs(pts, &st); err != nil {
		return fmt.Errorf("examine /dev/pts: %w", err)
	}
	if st.Type != unix.DEVPTS_SUPER_MAGIC {
		return fault.New(fault.Invalid, "the container has no devpts at /dev/pts")
	}
	r.devpts = pts
	return openConsole{e.Process.ConsoleSize}.do(r)
}
