package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// killCgroup kills every process of a container's cgroup. On v1 nothing does
// that at once: what forks meanwhile is found by the next round, as the freezer holds all of them still.
func killCgroup(dirs []string) {
	if len(dirs) == 0 {
		return
	}
	for _, d := range dirs {
		if os.WriteFile(filepath.Join(d, "cgroup.kill"), []byte("1"), 0) == nil {
			return
		}
	}
	dir, frozen := dirs[0], ""
	for _, d := range dirs {
		f := filepath.Join(d, "freezer.state")
		if os.WriteFile(f, []byte("FROZEN"), 0) == nil {
			dir, frozen = d, f
		}
	}
	for range 16 {
		pids := procsOf(dir)
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if frozen != "" || len(pids) == 0 {
			break
		}
	}
	if frozen != "" {
		_ = os.WriteFile(frozen, []byte("THAWED"), 0)
	}
}

// procsOf are the processes of a group and of those that the container made below it.
func procsOf(dir string) []int {
	var pids []int
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			pids = append(pids, procsOf(filepath.Join(dir, e.Name()))...)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return pids
	}
	for _, f := range bytes.Fields(data) {
		if n, err := strconv.Atoi(string(f)); err == nil && n > 0 && n != os.Getpid() {
			pids = append(pids, n)
		}
	}
	return pids
}
