package launch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/ns"
	"github.com/dhow-project/dhow/internal/linux/userns"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// joinCgroup moves only the calling thread, on v1: that needs none of the
// kernel's locks that moving a whole process does. On v2 the process is born in it.
type joinCgroup struct{ dirs []string }

func (s joinCgroup) String() string { return "join cgroup " + strings.Join(s.dirs, " ") }

func (s joinCgroup) do(r *room) error {
	for _, d := range s.dirs {
		fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", d, err)
		}
		r.own(fd)
		r.cgroupDirs = append(r.cgroupDirs, fd)
		f, err := unix.Openat(fd, "tasks", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			r.cgroup = fd
			continue
		}
		if err != nil {
			return fmt.Errorf("open tasks of %s: %w", d, err)
		}
		_, err = unix.Write(f, []byte("0"))
		unix.Close(f)
		if err != nil {
			return fmt.Errorf("enter %s: %w", d, err)
		}
	}
	return nil
}

type joinNS struct {
	kind specs.LinuxNamespaceType
	path string
}

func (s joinNS) String() string { return fmt.Sprintf("join %s namespace %s", s.kind, s.path) }

func (s joinNS) do(r *room) error {
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, nsFlags[s.kind])
}

type newNS struct{ flags int }

func (s newNS) String() string {
	var names []string
	for k, f := range nsFlags {
		if s.flags&f != 0 {
			names = append(names, string(k))
		}
	}
	slices.Sort(names)
	return "make namespaces " + strings.Join(names, " ")
}

func (s newNS) do(r *room) error {
	if err := unix.Unshare(s.flags); err != nil {
		return err
	}
	if s.flags&unix.CLONE_NEWNET != 0 {
		return ns.LoopbackUp()
	}
	return nil
}

// userNS opens a user namespace for the process to join; the thread cannot.
type userNS struct {
	path       string
	uids, gids []specs.LinuxIDMapping
}

func (s userNS) String() string {
	if s.path != "" {
		return "open user namespace " + s.path
	}
	return fmt.Sprintf("make user namespace %v %v", s.uids, s.gids)
}

func (s userNS) do(r *room) (err error) {
	r.uids, r.gids = s.uids, s.gids
	if s.path != "" {
		r.user, err = unix.Open(s.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	} else {
		r.user, err = userns.New(idMaps(s.uids), idMaps(s.gids))
	}
	if err != nil {
		return err
	}
	r.own(r.user)
	return actAsRoot(r)
}

// actAsRoot makes files that the thread creates belong to the container's root. The kernel takes
// the file capabilities away with that; they are still permitted, so they are taken back.
func actAsRoot(r *room) error {
	uid, gid := r.rootIDs()
	if err := unix.Setfsgid(gid); err != nil {
		return fmt.Errorf("act as the container's root: %w", err)
	}
	if err := unix.Setfsuid(uid); err != nil {
		return fmt.Errorf("act as the container's root: %w", err)
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return fmt.Errorf("take capabilities back: %w", err)
	}
	d[0].Effective, d[1].Effective = d[0].Permitted, d[1].Permitted
	if err := unix.Capset(&h, &d[0]); err != nil {
		return fmt.Errorf("take capabilities back: %w", err)
	}
	return nil
}

func idMaps(ms []specs.LinuxIDMapping) []userns.Map {
	out := make([]userns.Map, len(ms))
	for i, m := range ms {
		out[i] = userns.Map{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size}
	}
	return out
}

type setHostname struct{ name string }

func (s setHostname) String() string   { return "set hostname " + s.name }
func (s setHostname) do(r *room) error { return unix.Sethostname([]byte(s.name)) }

type setDomainname struct{ name string }

func (s setDomainname) String() string   { return "set domain name " + s.name }
func (s setDomainname) do(r *room) error { return unix.Setdomainname([]byte(s.name)) }

// setSysctl writes below a private /proc, never one that a container could have changed.
type setSysctl struct{ key, value string }

func (s setSysctl) String() string { return "set sysctl " + s.key + "=" + s.value }

func (s setSysctl) do(r *room) error {
	proc, err := r.privateProc()
	if err != nil {
		return err
	}
	how := &unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	fd, err := unix.Openat2(proc, "sys/"+sysctlPath(s.key), how)
	if err == unix.ENOENT {
		return fault.As(fault.Invalid, err)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(s.value))
	return err
}

// sysctlPath turns net.ipv4.ip_forward into a path. As sysctl(8) does, a key whose first
// separator is a slash is a path already, with dots in names (interfaces).
func sysctlPath(k string) string {
	if i := strings.IndexAny(k, "./"); i >= 0 && k[i] == '/' {
		return k
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(k)
}
