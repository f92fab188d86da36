package launch

import (
	"errors"
	"fmt"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/x/fault"
)

type makeDevice struct {
	dev  specs.LinuxDevice
	mode uint32
}

func (s makeDevice) String() string {
	return fmt.Sprintf("make device %s %s %d:%d %o", s.dev.Path, s.dev.Type, s.dev.Major, s.dev.Minor, s.mode)
}

func (s makeDevice) do(r *room) error {
	var kind uint32
	switch s.dev.Type {
	case "c", "u", "":
		kind = unix.S_IFCHR
	case "b":
		kind = unix.S_IFBLK
	case "p":
		kind = unix.S_IFIFO
	default:
		return fault.New(fault.Invalid, "device type %q", s.dev.Type)
	}
	dir, name := path.Split(path.Clean("/" + s.dev.Path))
	parent, err := mount.MkdirAll(r.root, dir, 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	_ = unix.Unlinkat(parent, name, 0)
	if err := unix.Mknodat(parent, name, kind|s.mode, int(unix.Mkdev(uint32(s.dev.Major), uint32(s.dev.Minor)))); err != nil {
		return err
	}
	// mknod obeys the umask.
	if err := unix.Fchmodat(parent, name, s.mode, 0); err != nil {
		return err
	}
	uid, gid := r.rootIDs()
	if s.dev.UID != nil {
		u, _ := hostID(*s.dev.UID, r.uids)
		uid = int(u)
	}
	if s.dev.GID != nil {
		g, _ := hostID(*s.dev.GID, r.gids)
		gid = int(g)
	}
	return unix.Fchownat(parent, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// devLinks are the symbolic links every /dev has (runtime-spec runtime-linux.md).
type devLinks struct{}

func (devLinks) String() string { return "make links in /dev" }

func (devLinks) do(r *room) error {
	dev, err := mount.OpenIn(r.root, "dev", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dev)
	for _, l := range [][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
		{"/proc/self/fd/2", "stderr"}, {"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"}} {
		if err := unix.Symlinkat(l[0], dev, l[1]); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("link /dev/%s: %w", l[1], err)
		}
	}
	return nil
}

// openConsole makes a terminal in the container's own devpts.
type openConsole struct{ size *specs.Box }

func (openConsole) String() string { return "open console" }

func (s openConsole) do(r *room) (err error) {
	if r.devpts < 0 {
		return fault.New(fault.Invalid, "a terminal needs a devpts mount")
	}
	r.console, r.slave, err = openPTY(r.devpts)
	if err != nil {
		return err
	}
	r.own(r.slave)
	uid, gid := r.rootIDs()
	if err := unix.Fchown(r.slave, uid, gid); err != nil {
		return err
	}
	if s.size != nil {
		return unix.IoctlSetWinsize(r.console, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(s.size.Height), Col: uint16(s.size.Width)})
	}
	return nil
}

// openPTY opens a pair of the devpts instance; the slave by the master, never by name.
func openPTY(devpts int) (master, slave int, err error) {
	master, err = unix.Openat(devpts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("open ptmx: %w", err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		unix.Close(master)
		return -1, -1, fmt.Errorf("unlock terminal: %w", err)
	}
	s, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, uintptr(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC))
	if errno != 0 {
		unix.Close(master)
		return -1, -1, fmt.Errorf("open terminal: %w", errno)
	}
	return master, int(s), nil
}

// bindConsole shows the terminal as /dev/console.
type bindConsole struct{}

func (bindConsole) String() string { return "mount /dev/console" }

func (bindConsole) do(r *room) error {
	target, err := mount.CreateFile(r.root, "dev/console", 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	m, err := mount.Bind(r.slave, false)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	return mount.Move(m, target)
}
