package mount

import (
	"strings"

	"golang.org/x/sys/unix"
)

// SubPathOption names a path below a bind mount's source, resolved without
// ever leaving it: "X-subpath=a/b".
const SubPathOption = "X-subpath="

// Options are the options of a runtime-spec mount, sorted by what they change.
type Options struct {
	Bind, Recursive  bool
	Set, Clear       uint64 // MOUNT_ATTR_* of the mount itself
	RecSet, RecClear uint64 // and of all mounts below it
	Propagation      uint64
	RecPropagation   bool
	IDMap, RecIDMap  bool
	SubPath          string
	CopyUp           bool // tmpcopyup: a tmpfs starts with what it hides
	Data             []string
}

// ParseOptions sorts options, later ones winning. What it does not know is the file system's (Data).
func ParseOptions(opts []string) Options {
	var o Options
	for _, s := range opts {
		if a, ok := attrs(s); ok {
			o.Set, o.Clear = o.Set&^(a.clear|a.set)|a.set, o.Clear&^a.set|a.clear
			continue
		}
		if r, ok := strings.CutPrefix(s, "r"); ok {
			if a, ok := attrs(r); ok {
				o.RecSet, o.RecClear = o.RecSet&^(a.clear|a.set)|a.set, o.RecClear&^a.set|a.clear
				continue
			}
		}
		switch s {
		case "bind":
			o.Bind = true
		case "rbind":
			o.Bind, o.Recursive = true, true
		case "private", "slave", "shared", "unbindable":
			o.Propagation = propagation(s)
		case "rprivate", "rslave", "rshared", "runbindable":
			o.Propagation, o.RecPropagation = propagation(s[1:]), true
		case "idmap":
			o.IDMap = true
		case "ridmap":
			o.IDMap, o.RecIDMap = true, true
		case "tmpcopyup":
			o.CopyUp = true
		case "defaults", "loud", "silent", "":
		default:
			if p, ok := strings.CutPrefix(s, SubPathOption); ok {
				o.SubPath = p
			} else {
				o.Data = append(o.Data, s)
			}
		}
	}
	return o
}

func propagation(s string) uint64 {
	switch s {
	case "slave":
		return unix.MS_SLAVE
	case "shared":
		return unix.MS_SHARED
	case "unbindable":
		return unix.MS_UNBINDABLE
	}
	return unix.MS_PRIVATE
}

type attr struct{ set, clear uint64 }

// attrs are the words of mount(8) that mount_setattr(2) understands.
func attrs(s string) (attr, bool) {
	const atime = unix.MOUNT_ATTR__ATIME
	switch s {
	case "ro":
		return attr{set: unix.MOUNT_ATTR_RDONLY}, true
	case "rw":
		return attr{clear: unix.MOUNT_ATTR_RDONLY}, true
	case "nosuid":
		return attr{set: unix.MOUNT_ATTR_NOSUID}, true
	case "suid":
		return attr{clear: unix.MOUNT_ATTR_NOSUID}, true
	case "nodev":
		return attr{set: unix.MOUNT_ATTR_NODEV}, true
	case "dev":
		return attr{clear: unix.MOUNT_ATTR_NODEV}, true
	case "noexec":
		return attr{set: unix.MOUNT_ATTR_NOEXEC}, true
	case "exec":
		return attr{clear: unix.MOUNT_ATTR_NOEXEC}, true
	case "nodiratime":
		return attr{set: unix.MOUNT_ATTR_NODIRATIME}, true
	case "diratime":
		return attr{clear: unix.MOUNT_ATTR_NODIRATIME}, true
	case "nosymfollow":
		return attr{set: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "symfollow":
		return attr{clear: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "relatime":
		return attr{set: unix.MOUNT_ATTR_RELATIME, clear: atime}, true
	case "noatime":
		return attr{set: unix.MOUNT_ATTR_NOATIME, clear: atime}, true
	case "strictatime":
		return attr{set: unix.MOUNT_ATTR_STRICTATIME, clear: atime}, true
	}
	return attr{}, false
}
