package launch

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// openLayers prepares a read-only mount of layers, or of a part of what they make together. The root is not
// mounted yet: its place serves for a moment.
type openLayers struct {
	index  int
	layers []string
	opts   mount.Options
}

func (s openLayers) String() string {
	return fmt.Sprintf("open %d layers%s", len(s.layers), note(s.opts))
}

func (s openLayers) do(r *room) error {
	m, err := s.open(r)
	if err != nil {
		return err
	}
	r.own(m)
	dir := true
	if s.opts.SubPath != "" {
		if m, dir, err = s.part(r, m); err != nil {
			return err
		}
	}
	r.detached[s.index] = detached{m, dir}
	o := s.opts
	o.Set |= unix.MOUNT_ATTR_RDONLY
	return applyOptions(m, o)
}

func (s openLayers) open(r *room) (int, error) {
	if r.user >= 0 {
		return mappedLayers(r, s.layers)
	}
	return mount.Overlay(mount.Layers{Lower: s.layers, Scratch: r.pivotDir}, 0)
}

// part binds what lies at the sub path. A mount has to be somewhere for that.
func (s openLayers) part(r *room, m int) (part int, dir bool, err error) {
	hang, err := unix.Open(r.pivotDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false, fmt.Errorf("open %s: %w", r.pivotDir, err)
	}
	defer unix.Close(hang)
	if err := mount.Move(m, hang); err != nil {
		return -1, false, err
	}
	sub, err := mount.OpenIn(m, s.opts.SubPath, unix.O_PATH)
	if err == nil {
		defer unix.Close(sub)
		if dir, err = mount.IsDir(sub); err == nil {
			part, err = mount.Bind(sub, false)
		}
	} else {
		err = fault.As(fault.Invalid, err)
	}
	if err != nil {
		return -1, false, err
	}
	r.own(part)
	if err := unix.Unmount(r.pivotDir, unix.MNT_DETACH); err != nil {
		return -1, false, fmt.Errorf("unmount %s: %w", r.pivotDir, err)
	}
	return part, dir, nil
}

// layersOf are those of an overlay mount of a specification, as mount(8) has them in lowerdir; nil if it has a writable one.
func layersOf(o mount.Options) []string {
	for _, d := range o.Data {
		if l, ok := strings.CutPrefix(d, "lowerdir="); ok && len(o.Data) == 1 {
			return strings.Split(l, ":")
		}
	}
	return nil
}
