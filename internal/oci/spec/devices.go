package spec

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// devices: nodes to make and rules of what may be opened. A privileged
// container may open everything.
func devices(in *Input, s *specs.Spec) error {
	for _, d := range in.Devices {
		n := specs.LinuxDevice{Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, UID: &d.UID, GID: &d.GID}
		if d.Mode != 0 {
			mode := os.FileMode(d.Mode)
			n.FileMode = &mode
		}
		s.Linux.Devices = append(s.Linux.Devices, n)
	}
	return nil
}

// resources limits the cgroup, devices included.
func resources(in *Input, s *specs.Spec) error {
	s.Linux.CgroupsPath = in.CgroupPath
	var r specs.LinuxResources
	if in.Resources != nil {
		r = *in.Resources
	}
	r.Devices = deviceRules(in)
	s.Linux.Resources = &r
	return nil
}

func deviceRules(in *Input) []specs.LinuxDeviceCgroup {
	if in.Security.Privileged {
		return []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	}
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"},
		// Any node may be made: what counts is opening it.
		{Allow: true, Type: "c", Access: "m"}, {Allow: true, Type: "b", Access: "m"}}
	allow := func(kind string, major, minor int64, access string) {
		r := specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Access: access}
		if minor >= 0 {
			r.Minor = &minor
		}
		rules = append(rules, r)
	}
	for _, minor := range []int64{3, 5, 7, 8, 9} { // null zero full random urandom
		allow("c", 1, minor, "rwm")
	}
	allow("c", 5, 0, "rwm")    // tty
	allow("c", 5, 1, "rwm")    // console
	allow("c", 5, 2, "rwm")    // ptmx
	allow("c", 136, -1, "rwm") // pts/*
	for _, d := range in.Devices {
		access := d.Permissions
		if access == "" {
			access = "rwm"
		}
		allow(d.Type, d.Major, d.Minor, access)
	}
	return rules
}
