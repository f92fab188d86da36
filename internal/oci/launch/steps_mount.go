package launch

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/linux/userns"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// openBind copies a host mount before the thread leaves the host's mount
// namespace, so that a shared one stays a peer of the host's.
type openBind struct {
	index      int
	source     string
	opts       mount.Options
	uids, gids []specs.LinuxIDMapping
}

func (s openBind) String() string {
	return "open " + s.source + note(s.opts)
}

func (s openBind) do(r *room) error {
	fd, err := unix.Open(s.source, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	defer unix.Close(fd)
	if s.opts.SubPath != "" {
		sub, err := mount.OpenIn(fd, s.opts.SubPath, unix.O_PATH)
		if err != nil {
			return fault.As(fault.Invalid, err)
		}
		defer unix.Close(sub)
		fd = sub
	}
	dir, err := mount.IsDir(fd)
	if err != nil {
		return err
	}
	m, err := mount.Bind(fd, s.opts.Recursive)
	if err != nil {
		return err
	}
	r.own(m)
	r.detached[s.index] = detached{m, dir}
	if err := s.mapIDs(r, m); err != nil {
		return err
	}
	return applyOptions(m, s.opts)
}

func (s openBind) mapIDs(r *room, m int) error {
	if !s.opts.IDMap && len(s.uids) == 0 {
		return nil
	}
	ns := r.user
	if len(s.uids) > 0 {
		fd, err := userns.New(idMaps(s.uids), idMaps(s.gids))
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		ns = fd
	}
	if ns < 0 {
		return fault.New(fault.Invalid, "an id-mapped mount needs a user namespace or mappings")
	}
	return mount.SetAttr(m, mount.Attr{UserNS: ns}, s.opts.RecIDMap)
}

// applyOptions sets what the options say about the mount and those below it.
func applyOptions(m int, o mount.Options) error {
	if o.Propagation != 0 {
		if err := mount.SetAttr(m, mount.Attr{Propagation: o.Propagation, UserNS: -1}, o.RecPropagation); err != nil {
			return err
		}
	}
	if o.Set|o.Clear != 0 {
		if err := mount.SetAttr(m, mount.Attr{Set: o.Set, Clear: o.Clear, UserNS: -1}, false); err != nil {
			return err
		}
	}
	if o.RecSet|o.RecClear != 0 {
		return mount.SetAttr(m, mount.Attr{Set: o.RecSet, Clear: o.RecClear, UserNS: -1}, true)
	}
	return nil
}

func note(o mount.Options) string {
	var b strings.Builder
	if o.Recursive {
		b.WriteString(" recursively")
	}
	if o.SubPath != "" {
		b.WriteString(" subpath " + o.SubPath)
	}
	if o.Set|o.RecSet != 0 {
		fmt.Fprintf(&b, " attr %#x/%#x", o.Set, o.RecSet)
	}
	if o.Propagation != 0 {
		fmt.Fprintf(&b, " propagation %#x", o.Propagation)
	}
	return b.String()
}

// ownMounts leaves the host's mount namespace; nothing goes back or forth from here.
type ownMounts struct{}

func (ownMounts) String() string { return "make mount namespace" }

func (ownMounts) do(r *room) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
}

// moveTo places what openBind opened. The target is made if it is not there.
type moveTo struct {
	index  int
	target string
}

func (s moveTo) String() string { return "mount " + s.target }

func (s moveTo) do(r *room) error {
	m := r.detached[s.index]
	target, err := openTarget(r, s.target, m.dir)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return mount.Move(m.fd, target)
}

func openTarget(r *room, name string, dir bool) (int, error) {
	if dir {
		return mount.MkdirAll(r.root, name, 0o755)
	}
	return mount.CreateFile(r.root, name, 0o644)
}

// strictTarget opens a directory that must be what its name says: /proc, /dev
// or /sys of an image may not lead elsewhere through a symbolic link.
func strictTarget(r *room, name string) (int, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS}
	for range 2 {
		fd, err := unix.Openat2(r.root, strings.TrimPrefix(name, "/"), how)
		switch err {
		case nil:
			return fd, nil
		case unix.ELOOP:
			return -1, fault.New(fault.Invalid, "%s of the image is a symbolic link", name)
		case unix.ENOENT:
		default:
			return -1, fmt.Errorf("open %s in root: %w", name, err)
		}
		made, err := mount.MkdirAll(r.root, name, 0o755)
		if err != nil {
			return -1, err
		}
		unix.Close(made)
	}
	return -1, fault.New(fault.Invalid, "%s of the image is not a directory of its own", name)
}

// makeTarget prepares the directory of a late mount.
type makeTarget struct {
	target string
	file   bool
}

func (s makeTarget) String() string { return "make " + s.target }

func (s makeTarget) do(r *room) error {
	fd, err := strictTarget(r, s.target)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// mountFS makes a file system and places it.
type mountFS struct {
	target, fstype, source string
	opts                   mount.Options
}

func (s mountFS) String() string { return "mount " + s.fstype + " on " + s.target }

func (s mountFS) do(r *room) error {
	m, err := makeFS(r, s.fstype, s.source, s.opts)
	if err != nil {
		return err
	}
	var target int
	if s.fstype == "sysfs" || s.target == "/dev" {
		target, err = strictTarget(r, s.target)
	} else {
		target, err = openTarget(r, s.target, true)
	}
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if s.opts.CopyUp {
		if err := copyUp(target, m); err != nil {
			return fmt.Errorf("copy up: %w", err)
		}
	}
	if s.fstype == "devpts" {
		r.devpts = m
	}
	return mount.Move(m, target)
}

// newFS makes a file system that a late step places.
type newFS struct {
	index          int
	fstype, source string
	opts           mount.Options
}

func (s newFS) String() string { return "make file system " + s.fstype }

func (s newFS) do(r *room) error {
	m, err := makeFS(r, s.fstype, s.source, s.opts)
	if err == nil {
		r.detached[s.index] = detached{m, true}
	}
	return err
}

func makeFS(r *room, fstype, source string, o mount.Options) (int, error) {
	if strings.ContainsAny(fstype, "/") || fstype == "" {
		return -1, fault.New(fault.Invalid, "file system type %q", fstype)
	}
	data, err := mapOptions(r, fstype, o.Data)
	if err != nil {
		return -1, err
	}
	m, err := mount.FS(fstype, source, data, int(o.Set|o.RecSet))
	if err != nil {
		return -1, err
	}
	r.own(m)
	if o.Propagation != 0 {
		err = mount.SetAttr(m, mount.Attr{Propagation: o.Propagation, UserNS: -1}, false)
	}
	return m, err
}

// mapOptions gives uid= and gid= their meaning in the container's user namespace, and
// makes a file system that the thread mounts belong to the container's root.
func mapOptions(r *room, fstype string, data []string) ([]string, error) {
	if len(r.uids) == 0 {
		return data, nil
	}
	uid, gid := r.rootIDs()
	var out []string
	if fstype == "tmpfs" {
		out = append(out, "uid="+strconv.Itoa(uid), "gid="+strconv.Itoa(gid))
	}
	for _, d := range data {
		k, v, _ := strings.Cut(d, "=")
		if k == "uid" || k == "gid" {
			maps := r.uids
			if k == "gid" {
				maps = r.gids
			}
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return nil, fault.As(fault.Invalid, err)
			}
			id, err := hostID(uint32(n), maps)
			if err != nil {
				return nil, err
			}
			d = k + "=" + strconv.FormatUint(uint64(id), 10)
		}
		out = append(out, d)
	}
	return out, nil
}

// mountCgroups shows a container its own cgroup at /sys/fs/cgroup. Binding the
// directory looks the same from its cgroup namespace as mounting the hierarchy anew.
type mountCgroups struct {
	target string
	dirs   []string
	opts   mount.Options
}

func (s mountCgroups) String() string { return "mount cgroups on " + s.target }

func (s mountCgroups) do(r *room) error {
	target, err := openTarget(r, s.target, true)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if r.cgroup >= 0 && len(r.cgroupDirs) == 1 {
		return s.bind(r.cgroup, target)
	}
	tmp, err := mount.FS("tmpfs", "cgroup", []string{"mode=755", "size=64k"}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(tmp)
	if err := mount.Move(tmp, target); err != nil {
		return err
	}
	for i, d := range s.dirs {
		if hybrid(r.cgroupDirs[i]) {
			continue
		}
		name := hierarchy(d)
		sub, err := mount.MkdirAll(tmp, name, 0o755)
		if err != nil {
			return err
		}
		err = s.bind(r.cgroupDirs[i], sub)
		unix.Close(sub)
		if err != nil {
			return fmt.Errorf("bind %s: %w", name, err)
		}
	}
	if s.opts.Set&unix.MOUNT_ATTR_RDONLY == 0 {
		return nil
	}
	return mount.SetAttr(tmp, mount.Attr{Set: unix.MOUNT_ATTR_RDONLY, UserNS: -1}, false)
}

// hybrid: the version 2 hierarchy beside those of version 1. It has no controllers, and programs that find it
// inside a container look for their limits there, so it is left out, as runc does.
func hybrid(dir int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// bind looks the directory up again: a bind mount must come from the namespace it is made in.
func (s mountCgroups) bind(dir, target int) error {
	p, err := os.Readlink("/proc/thread-self/fd/" + strconv.Itoa(dir))
	if err != nil {
		return err
	}
	fd, err := unix.Open(p, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m, err := mount.Bind(fd, false)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	o := s.opts
	o.Propagation = 0
	if err := applyOptions(m, o); err != nil {
		return err
	}
	return mount.Move(m, target)
}

// hierarchy is the name of a v1 hierarchy: the directory it is mounted on below /sys/fs/cgroup.
func hierarchy(dir string) string {
	rest := strings.TrimPrefix(path.Clean(dir), "/sys/fs/cgroup/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}
