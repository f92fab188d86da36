package launch

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// mountRoot mounts the container's root where only its own namespace sees it.
type mountRoot struct {
	dir     string
	overlay *proto.Overlay
}

func (s mountRoot) String() string {
	if s.overlay != nil {
		return fmt.Sprintf("mount root of %d layers", len(s.overlay.Lower))
	}
	return "mount root " + s.dir
}

func (s mountRoot) do(r *room) error {
	m, err := s.mount(r)
	if err != nil {
		return err
	}
	r.own(m)
	hang, err := unix.Open(r.pivotDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", r.pivotDir, err)
	}
	defer unix.Close(hang)
	r.root = m
	return mount.Move(m, hang)
}

func (s mountRoot) mount(r *room) (int, error) {
	if s.overlay == nil {
		fd, err := unix.Open(s.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fault.As(fault.Invalid, fmt.Errorf("open %s: %w", s.dir, err))
		}
		defer unix.Close(fd)
		m, err := mount.Bind(fd, true)
		if err != nil {
			return -1, err
		}
		return m, mount.SetAttr(m, mount.Attr{Propagation: unix.MS_PRIVATE, UserNS: -1}, true)
	}
	o := s.overlay
	if r.user < 0 {
		return mount.Overlay(mount.Layers{Lower: o.Lower, Upper: o.Upper, Work: o.Work, Volatile: o.Volatile, Scratch: r.pivotDir}, 0)
	}
	return s.mapped(r, o)
}

// mapped shifts the owners of all layers into the user namespace, so that layers on disk
// stay as the image has them. Upper and work must share a mount and hence a parent.
func (s mountRoot) mapped(r *room, o *proto.Overlay) (int, error) {
	if o.Upper == "" {
		return mappedLayers(r, o.Lower)
	}
	lower, err := shiftAll(r, o.Lower)
	if err != nil {
		return -1, err
	}
	if path.Dir(o.Upper) != path.Dir(o.Work) {
		return -1, fault.New(fault.Invalid, "upper and work directory of a root with a user namespace need the same parent")
	}
	parent, err := shift(r, path.Dir(o.Upper))
	if err != nil {
		return -1, err
	}
	return mount.Overlay(mount.Layers{Lower: lower, Upper: parent + "/" + path.Base(o.Upper), Work: parent + "/" + path.Base(o.Work),
		Volatile: o.Volatile, Scratch: r.pivotDir}, 0)
}

// mappedLayers is a read-only root of layers with shifted owners.
func mappedLayers(r *room, layers []string) (int, error) {
	lower, err := shiftAll(r, layers)
	if err != nil {
		return -1, err
	}
	if len(lower) == 1 { // the shifted mount is all that is needed
		return unix.Dup(r.fds[len(r.fds)-1])
	}
	return mount.Overlay(mount.Layers{Lower: lower, Scratch: r.pivotDir}, 0)
}

func shiftAll(r *room, dirs []string) ([]string, error) {
	out := make([]string, len(dirs))
	for i, d := range dirs {
		p, err := shift(r, d)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// shift makes a mount of a directory with owners in the user namespace, and gives its name.
func shift(r *room, dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	m, err := mount.Bind(fd, false)
	if err != nil {
		return "", err
	}
	r.own(m)
	if err := mount.SetAttr(m, mount.Attr{UserNS: r.user}, false); err != nil {
		return "", fmt.Errorf("shift owners of %s: %w", dir, err)
	}
	return "/proc/self/fd/" + strconv.Itoa(m), nil
}

// makeCwd makes the working directory, as images expect.
type makeCwd struct{ dir string }

func (s makeCwd) String() string { return "make working directory " + s.dir }

func (s makeCwd) do(r *room) error {
	fd, err := mount.MkdirAll(r.root, s.dir, 0o755)
	if err == nil {
		unix.Close(fd)
		return nil
	}
	// On a read-only root, or below a mount that is yet to come, chdir has the last word.
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fault.As(fault.Invalid, err)
}

type readOnlyRoot struct{}

func (readOnlyRoot) String() string { return "make root read-only" }

func (readOnlyRoot) do(r *room) error {
	return mount.SetAttr(r.root, mount.Attr{Set: unix.MOUNT_ATTR_RDONLY, UserNS: -1}, false)
}

// pivot makes the container's root the root, and drops all of the host's mounts.
type pivot struct{}

func (pivot) String() string { return "pivot root" }

func (pivot) do(r *room) error {
	if err := unix.Fchdir(r.root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("drop the host's mounts: %w", err)
	}
	return unix.Chdir("/")
}
