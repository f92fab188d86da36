package launch

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
)

// room is what the steps of one container share. All descriptors in fds are
// closed at the end.
type room struct {
	pivotDir   string // an existing directory to hang the root on before it becomes the root
	emptyDir   string // an empty directory to hide others behind
	fds        []int
	root       int // the container's root, once mounted
	proc       int
	attr       int // the same, when the process needs it, or -1
	user       int // user namespace or -1
	cgroup     int // v2 cgroup to be born in or -1
	cgroupDirs []int
	uids, gids []specs.LinuxIDMapping
	detached   map[int]detached // by index in Spec.Mounts
	masks      map[int][2]int   // file and directory to hide with
	devpts     int              // the mounted devpts or -1
	console    int              // master or -1
	slave      int
	self       int // our own program, for an init, or -1
	identity   Identity
	spec       *specs.Spec
}

// detached is a mount that is not placed yet.
type detached struct {
	fd  int
	dir bool
}

func newRoom(pivotDir, emptyDir string) *room {
	return &room{pivotDir: pivotDir, emptyDir: emptyDir, root: -1, proc: -1, attr: -1, user: -1, cgroup: -1,
		devpts: -1, console: -1, slave: -1, self: -1, detached: map[int]detached{}, masks: map[int][2]int{}}
}

func (r *room) own(fd int) { r.fds = append(r.fds, fd) }

func (r *room) close() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds = nil
}

// privateProc is a procfs that is mounted nowhere: nothing can be mounted over its files.
func (r *room) privateProc() (int, error) {
	if r.proc >= 0 {
		return r.proc, nil
	}
	fd, err := mount.FS("proc", "proc", nil, 0)
	if err != nil {
		return -1, err
	}
	r.own(fd)
	r.proc = fd
	return fd, nil
}

// hostID maps an id of the container to the host's.
func hostID(id uint32, maps []specs.LinuxIDMapping) (uint32, error) {
	if len(maps) == 0 {
		return id, nil
	}
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, nil
		}
	}
	return 0, fmt.Errorf("id %d is not mapped into the user namespace", id)
}

// rootIDs are the host's ids of the container's root.
func (r *room) rootIDs() (uid, gid int) {
	u, _ := hostID(0, r.uids)
	g, _ := hostID(0, r.gids)
	return int(u), int(g)
}
