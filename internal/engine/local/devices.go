package local

import (
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// devices are those asked for; a privileged container has the host's as well. In a user namespace nobody could open them.
func (e *Engine) devices(c engine.ContainerConfig, s engine.SandboxConfig) ([]spec.Device, error) {
	var out []spec.Device
	own := map[string]bool{}
	for _, d := range c.Devices {
		sd, ok, err := device(d)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.New(fault.Invalid, "device %s is no device node", d.HostPath)
		}
		own[filepath.Clean(d.Path)] = true
		out = append(out, sd)
	}
	if !c.Security.Privileged || s.User != nil {
		return out, nil
	}
	for _, d := range hostDevices("/dev") {
		if !own[d.Path] {
			out = append(out, d)
		}
	}
	return out, nil
}

// device looks up what a node of the host is; false if it is something else than a device.
func device(d engine.Device) (spec.Device, bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(d.HostPath, &st); err != nil {
		return spec.Device{}, false, fault.New(fault.Invalid, "device %s: %w", d.HostPath, err)
	}
	kind := "c"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
	case unix.S_IFBLK:
		kind = "b"
	default:
		return spec.Device{}, false, nil
	}
	return spec.Device{
		Path: d.Path, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		Permissions: d.Permissions, Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid,
	}, true, nil
}

// ownNodes below /dev are every container's own: file systems, and what the runtime makes itself.
var ownNodes = map[string]bool{
	"pts": true, "shm": true, "mqueue": true, "hugepages": true, "console": true, "ptmx": true,
	"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true,
}

// hostDevices are all nodes below dir. One that goes away meanwhile is left out.
func hostDevices(dir string) []spec.Device {
	var out []spec.Device
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if filepath.Dir(path) == dir && ownNodes[d.Name()] {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeDevice == 0 {
			return nil
		}
		if sd, ok, err := device(engine.Device{HostPath: path, Path: path, Permissions: "rwm"}); err == nil && ok {
			out = append(out, sd)
		}
		return nil
	})
	return out
}
