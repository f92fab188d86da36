package main

import (
	"fmt"
	"slices"
	"strings"
)

// snapshot is one sorted line for each thing on the host that could be left behind or changed.
type snapshot []string

// looks are where dhow could leave something.
func looks() map[string]func() ([]string, error) {
	return map[string]func() ([]string, error){
		"process": processes,
		"mount":   mounts,
		"link":    links,
		"address": addresses,
		"route":   routes,
		"rule":    rules,
		"table":   tables,
		"cgroup":  cgroups,
		"setting": settings,
		"file":    files,
		"cluster": clusters, // must be among them: since reads it
	}
}

func look() (snapshot, error) {
	var s snapshot
	for name, f := range looks() {
		lines, err := f()
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		for _, l := range lines {
			s = append(s, name+" "+l)
		}
	}
	slices.Sort(s)
	return s, nil
}

// since says what came and what went. What belongs to clusters that somebody else runs on this machine is left out.
func (s snapshot) since(before snapshot) []string {
	others := marksOf(append(slices.Clone(before), s...))
	var out []string
	for _, d := range []struct {
		sign    string
		in, not snapshot
	}{{"- ", before, s}, {"+ ", s, before}} {
		for _, line := range d.in {
			if !slices.Contains(d.not, line) && !slices.ContainsFunc(others, func(mark string) bool { return strings.Contains(line, mark) }) {
				out = append(out, d.sign+line)
			}
		}
	}
	return out
}
