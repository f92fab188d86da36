// Package cgroup makes, limits, measures and removes control groups, v1 or v2,
// whichever the machine has. A path such as "/dhow/pod1" is below the root of
// every hierarchy. It knows nothing of containers.
//
// What is to be written is worked out first (limits_v1.go, limits_v2.go: pure), then written. tree.go says
// where the hierarchies are.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// V2 reports whether the machine has only the unified hierarchy.
func V2() bool {
	m, err := host()
	return err == nil && m.v2
}

// Create makes the group and its parents and limits it. It gives its directories, one on v2,
// one a hierarchy on v1. It is idempotent. r may be nil.
func Create(path string, r *specs.LinuxResources) ([]string, error) {
	m, err := host()
	if err != nil {
		return nil, err
	}
	return m.create(path, r)
}

// Set changes the limits that r names.
func Set(path string, r *specs.LinuxResources) error {
	m, err := host()
	if err != nil {
		return err
	}
	if err := valid(path); err != nil {
		return err
	}
	if err := m.set(path, r); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", path, err)
	}
	return nil
}

// Remove removes the group and those below it. Processes must be gone. It is idempotent.
func Remove(path string) error {
	m, err := host()
	if err != nil {
		return err
	}
	if err := valid(path); err != nil {
		return err
	}
	return RemoveDirs(context.Background(), m.dirs(path))
}

func valid(path string) error {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "..") || strings.Trim(path, "/") == "" {
		return fault.New(fault.Invalid, "cgroup path %q", path)
	}
	return nil
}

func (m *machine) create(path string, r *specs.LinuxResources) ([]string, error) {
	if err := valid(path); err != nil {
		return nil, err
	}
	made, err := m.make(path, r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create cgroup %s: %w", path, err), RemoveDirs(context.Background(), made))
	}
	if err := m.set(path, r); err != nil {
		return nil, errors.Join(fmt.Errorf("limit cgroup %s: %w", path, err), RemoveDirs(context.Background(), made))
	}
	return made, nil
}

// make makes the directories and gives them, sorted.
func (m *machine) make(path string, r *specs.LinuxResources) (made []string, err error) {
	for _, t := range m.trees {
		if !t.wanted(r) {
			continue
		}
		dir := filepath.Join(t.root, path)
		if m.v2 {
			err = m.makeV2(path)
		} else {
			err = m.makeV1(&t, path)
		}
		if err != nil {
			return made, err
		}
		made = append(made, dir)
	}
	slices.Sort(made)
	return made, nil
}

// makeV1 makes one directory, and its parents if they are not there.
func (m *machine) makeV1(t *tree, path string) error {
	dir := filepath.Join(t.root, path)
	err := m.mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := m.makeV1(t, filepath.Dir(path)); err != nil {
			return err
		}
		err = m.mkdir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if t.has("cpuset") {
		return t.inherit(path)
	}
	return nil
}

// inherit gives a group its parent's processors and memory nodes: a new one has none and can hold no process, unless
// its parent says that children are copies (cgroup.clone_children), as all of ours do.
func (t *tree) inherit(path string) error {
	dir := filepath.Join(t.root, path)
	if filepath.Dir(path) == "/" {
		if err := write(dir, "cgroup.clone_children", "1"); err != nil {
			return err
		}
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if own, err := read(dir, file); err != nil || own != "" {
			if err != nil {
				return err
			}
			continue
		}
		parents, err := read(filepath.Dir(dir), file)
		if err != nil {
			return err
		}
		if err := write(dir, file, parents); err != nil {
			return err
		}
	}
	return nil
}

// makeV2 makes the group and turns on its controllers in its parent. Groups further up have theirs on, but for those
// that a crash left half-made: then all is gone through from the top.
func (m *machine) makeV2(path string) error {
	root := m.trees[0].root
	if m.mkdir(filepath.Join(root, path)) == nil && write(filepath.Join(root, filepath.Dir(path)), subtree, m.enable()) == nil {
		return nil
	}
	dir := root
	for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
		m.enableIn(dir)
		dir = filepath.Join(dir, name)
		if err := m.mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (m *machine) mkdir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil && m.furnish != nil {
		m.furnish(dir)
	}
	return err
}

const subtree = "cgroup.subtree_control"

func (m *machine) enable() string {
	return "+" + strings.Join(m.trees[0].controllers, " +")
}

// enableIn turns on what can be turned on. What cannot is noticed by the one who wants to set its limits.
func (m *machine) enableIn(dir string) {
	if write(dir, subtree, m.enable()) == nil {
		return
	}
	for _, c := range m.trees[0].controllers {
		_ = write(dir, subtree, "+"+c)
	}
}
