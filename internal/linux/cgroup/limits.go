package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// limit is one value for one file.
type limit struct {
	controller, file, value string
	// optional: where the file is not there, nothing is lost.
	optional bool
}

// set writes the limits that r names, and nothing that it does not name.
func (m *machine) set(path string, r *specs.LinuxResources) error {
	if r == nil {
		return nil
	}
	plan := limitsV1
	if m.v2 {
		plan = limitsV2
	}
	limits, err := plan(r)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	if err := m.roomFor(path, r); err != nil {
		return err
	}
	// One limit may be refused until another has changed: memory that is more than memory and swap together, a
	// quota that its period makes more than the parent's. What is refused is tried once more when all others are set.
	var again []limit
	for _, l := range limits {
		err := m.write(path, l)
		if errors.Is(err, unix.EINVAL) {
			again = append(again, l)
			continue
		}
		if err != nil {
			return err
		}
	}
	for _, l := range again {
		if err := m.write(path, l); err != nil {
			return err
		}
	}
	if m.v2 {
		return m.setDevicesV2(path, r.Devices)
	}
	return nil
}

func (m *machine) write(path string, l limit) error {
	t, err := m.find(l.controller)
	if err != nil {
		if l.optional {
			return nil
		}
		return err
	}
	err = write(filepath.Join(t.root, path), l.file, l.value)
	if l.optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// roomFor refuses a memory limit that is below what is used already, where that was asked for: v2 kills for it.
func (m *machine) roomFor(path string, r *specs.LinuxResources) error {
	mem := r.Memory
	if mem == nil || mem.CheckBeforeUpdate == nil || !*mem.CheckBeforeUpdate || mem.Limit == nil || *mem.Limit <= 0 {
		return nil
	}
	u, err := m.usage(path)
	if err != nil {
		return err
	}
	if u.MemoryUsage > uint64(*mem.Limit) {
		return fault.New(fault.Conflict, "%d bytes of memory are in use, more than the new limit of %d", u.MemoryUsage, *mem.Limit)
	}
	return nil
}

// write needs the file to be there. The kernel takes a value in one piece.
func write(dir, file, value string) error {
	name := filepath.Join(dir, file)
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	_, err = unix.Write(fd, []byte(value))
	unix.Close(fd)
	if err != nil {
		return &os.PathError{Op: fmt.Sprintf("write %q to", value), Path: name, Err: err}
	}
	return nil
}

// read gives a file of one short value.
func read(dir, file string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(raw)), err
}
