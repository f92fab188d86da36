// Package cgroup makes, limits, measures and removes control groups, v1 or v2,
// whichever the machine has. A path such as "/dhow/pod1" is below the root of
// every hierarchy. It knows nothing of containers.
package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // makes device rules work
	"github.com/opencontainers/cgroups/manager"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// V2 reports whether the machine has only the unified hierarchy.
func V2() bool { return cgroups.IsCgroup2UnifiedMode() }

// Create makes the group and its parents and limits it. It gives its directories, one on v2,
// one a hierarchy on v1. It is idempotent. r may be nil.
func Create(path string, r *specs.LinuxResources) ([]string, error) {
	m, res, err := open(path, r)
	if err != nil {
		return nil, err
	}
	if err := m.Apply(-1); err != nil {
		return nil, fmt.Errorf("create cgroup %s: %w", path, err)
	}
	if err := m.Set(res); err != nil {
		return nil, errors.Join(fmt.Errorf("limit cgroup %s: %w", path, err), m.Destroy())
	}
	return dirs(m), nil
}

// Set changes the limits that r names.
func Set(path string, r *specs.LinuxResources) error {
	m, res, err := open(path, r)
	if err != nil {
		return err
	}
	if err := m.Set(res); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", path, err)
	}
	return nil
}

// Remove removes the group and those below it. Processes must be gone. It is idempotent.
func Remove(path string) error {
	m, _, err := open(path, nil)
	if err != nil {
		return err
	}
	if err := m.Destroy(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove cgroup %s: %w", path, err)
	}
	return nil
}

// Dirs are the directories that a group has or would have.
func Dirs(path string) ([]string, error) {
	m, _, err := open(path, nil)
	if err != nil {
		return nil, err
	}
	return dirs(m), nil
}

func dirs(m cgroups.Manager) []string {
	all := slices.Sorted(maps.Values(m.GetPaths()))
	return slices.DeleteFunc(slices.Compact(all), func(d string) bool {
		_, err := os.Stat(d)
		return err != nil
	})
}

func open(path string, r *specs.LinuxResources) (cgroups.Manager, *cgroups.Resources, error) {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "..") || strings.Trim(path, "/") == "" {
		return nil, nil, fault.New(fault.Invalid, "cgroup path %q", path)
	}
	res, err := resources(r)
	if err != nil {
		return nil, nil, fault.As(fault.Invalid, err)
	}
	m, err := manager.New(&cgroups.Cgroup{Path: path, Resources: res})
	if err != nil {
		return nil, nil, fmt.Errorf("open cgroup %s: %w", path, err)
	}
	return m, res, nil
}
