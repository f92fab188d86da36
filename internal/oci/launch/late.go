package launch

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/linux/proc"
)

// late collects the system calls of late steps and the descriptors they need.
type late struct {
	t    *proc.Table
	root int
	keep []int
}

// Registers of the late steps.
const (
	regTarget = iota
	regMount
	regFS
)

const emptyPath = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH

// openHow is struct open_how for a raw call.
func (l *late) openHow(flags, resolve uint64) []proc.Arg {
	how := &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	return []proc.Arg{l.t.Ptr(unsafe.Pointer(how)), proc.Num(unsafe.Sizeof(*how))}
}

// open adds opening a path below the root into regTarget.
func (l *late) open(step, name string, flags, resolve uint64, opts ...proc.Option) {
	name = strings.TrimLeft(name, "/")
	args := append([]proc.Arg{proc.Num(l.root), l.t.Str(name)}, l.openHow(flags, resolve)...)
	l.t.Call(step, unix.SYS_OPENAT2, args, append(opts, proc.Save(regTarget))...)
}

func (l *late) move(step string, m, target proc.Arg) {
	e := l.t.Str("")
	l.t.Call(step, unix.SYS_MOVE_MOUNT, []proc.Arg{m, e, target, e, proc.Num(emptyPath)})
}

func (l *late) closeReg(n int) {
	l.t.Call("close", unix.SYS_CLOSE, []proc.Arg{proc.Reg(n)})
}

// mountProc mounts a procfs of the process's own pid namespace.
type mountProc struct {
	target string
	opts   mount.Options
}

func (s mountProc) String() string { return "mount proc on " + s.target }

func (s mountProc) add(_ *room, l *late) {
	step := s.String()
	l.t.Call(step, unix.SYS_FSOPEN, []proc.Arg{l.t.Str("proc"), proc.Num(unix.FSOPEN_CLOEXEC)}, proc.Save(regFS))
	for _, d := range s.opts.Data {
		if k, v, ok := strings.Cut(d, "="); ok {
			l.t.Call(step+" with "+d, unix.SYS_FSCONFIG, []proc.Arg{proc.Reg(regFS), proc.Num(unix.FSCONFIG_SET_STRING), l.t.Str(k), l.t.Str(v), proc.Num(0)})
		}
	}
	l.t.Call(step, unix.SYS_FSCONFIG, []proc.Arg{proc.Reg(regFS), proc.Num(unix.FSCONFIG_CMD_CREATE), proc.Num(0), proc.Num(0), proc.Num(0)})
	l.t.Call(step, unix.SYS_FSMOUNT, []proc.Arg{proc.Reg(regFS), proc.Num(unix.FSMOUNT_CLOEXEC), proc.Num(s.opts.Set)}, proc.Save(regMount))
	l.open(step, s.target, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_SYMLINKS)
	l.move(step, proc.Reg(regMount), proc.Reg(regTarget))
	l.closeReg(regFS)
	l.closeReg(regMount)
	l.closeReg(regTarget)
}

// moveLate places a mount below a late one. Its target must be there: nothing can be made in a procfs.
type moveLate struct {
	index  int
	target string
}

func (s moveLate) String() string { return "mount " + s.target }

func (s moveLate) add(r *room, l *late) {
	fd := r.detached[s.index].fd
	l.keep = append(l.keep, fd)
	l.open(s.String(), s.target, unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_NO_SYMLINKS)
	l.move(s.String(), proc.Num(fd), proc.Reg(regTarget))
	l.closeReg(regTarget)
}

// mask hides a path, whatever it is. One that is missing needs no hiding.
type mask struct {
	index int
	path  string
}

func (s mask) String() string { return "mask " + s.path }

func (s mask) add(r *room, l *late) {
	pair := r.masks[s.index]
	for _, fd := range pair {
		if fd >= 0 {
			l.keep = append(l.keep, fd)
		}
	}
	const resolve = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	step := s.String()
	// A directory: open, move, close, go past the file's three calls.
	l.open(step, s.path, unix.O_PATH|unix.O_DIRECTORY, resolve, proc.SkipOn(2, unix.ENOTDIR, unix.ENOENT))
	l.move(step, proc.Num(pair[1]), proc.Reg(regTarget))
	l.t.Call("close", unix.SYS_CLOSE, []proc.Arg{proc.Reg(regTarget)}, proc.Else(3))
	l.open(step, s.path, unix.O_PATH, resolve, proc.SkipOn(2, unix.ENOENT, unix.ENOTDIR))
	l.move(step, proc.Num(pair[0]), proc.Reg(regTarget))
	l.closeReg(regTarget)
}

// readOnly makes a path and all below it read-only.
type readOnly struct{ path string }

func (s readOnly) String() string { return "make " + s.path + " read-only" }

func (s readOnly) add(_ *room, l *late) {
	step := s.String()
	e := l.t.Str("")
	l.open(step, s.path, unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS, proc.SkipOn(5, unix.ENOENT, unix.ENOTDIR))
	l.t.Call(step, unix.SYS_OPEN_TREE, []proc.Arg{proc.Reg(regTarget), e,
		proc.Num(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH | unix.AT_RECURSIVE)}, proc.Save(regMount))
	attr, size := mount.RawAttr(unix.MOUNT_ATTR_RDONLY)
	l.t.Call(step, unix.SYS_MOUNT_SETATTR, []proc.Arg{proc.Reg(regMount), e, proc.Num(unix.AT_EMPTY_PATH | unix.AT_RECURSIVE), l.t.Ptr(attr), proc.Num(size)})
	l.move(step, proc.Reg(regMount), proc.Reg(regTarget))
	l.closeReg(regMount)
	l.closeReg(regTarget)
}
