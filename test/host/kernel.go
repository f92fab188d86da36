package main

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// processes are those of a program of ours, or in a cgroup of ours.
func processes() ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range dirs {
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil { // it went meanwhile
			continue
		}
		if status, err := os.ReadFile(filepath.Join(dir, "status")); err != nil || strings.Contains(string(status), "State:\tZ") {
			continue // dead, and its parent's to bury
		}
		cgroup, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		name := strings.TrimSpace(string(comm))
		if name != "dhow" && name != "dhow-keeper" && !strings.Contains(string(cgroup), "/dhow-") {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		where := regexp.MustCompile(`/dhow-[^/\n]*`).FindString(string(cgroup))
		out = append(out, filepath.Base(dir)+" "+where+" "+strings.ReplaceAll(string(args), "\x00", " "))
	}
	return out, nil
}

// mounts of this namespace: where and what (proc_pid_mountinfo(5)).
func mounts() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	for scan := bufio.NewScanner(f); scan.Scan(); {
		head, tail, _ := strings.Cut(scan.Text(), " - ")
		if h := strings.Fields(head); len(h) > 4 {
			out = append(out, h[4]+" "+strings.Fields(tail)[0])
		}
	}
	return out, nil
}

// managed are the cgroups of systemd and the like, which come and go by themselves.
var managed = regexp.MustCompile(`\.(slice|scope|service|mount|socket)$`)

func cgroups() ([]string, error) {
	var out []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil: // it went meanwhile
			return nil
		case managed.MatchString(path):
			return fs.SkipDir
		case d.IsDir():
			out = append(out, path)
		}
		return nil
	})
	return out, err
}

// settings are the sysctls of the host that networks touch.
func settings() ([]string, error) {
	var out []string
	for _, pattern := range []string{
		"ipv4/ip_forward", "ipv4/conf/all/*", "ipv4/conf/default/*", "ipv6/conf/all/*", "ipv6/conf/default/*",
		"ipv4/ip_local_port_range", "ipv4/ip_unprivileged_port_start", "bridge/*", "netfilter/nf_conntrack_max",
	} {
		paths, err := filepath.Glob("/proc/sys/net/" + pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if raw, err := os.ReadFile(path); err == nil {
				out = append(out, path+" "+strings.TrimSpace(string(raw)))
			}
		}
	}
	return out, nil
}
