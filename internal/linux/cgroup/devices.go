package cgroup

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // puts its function into cgroups.DevicesSetV2
	devices "github.com/opencontainers/cgroups/devices/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// devicesV1 writes rule after rule, as the spec has them: each changes what those before it say (device_cgroup.rst).
func devicesV1(rules []specs.LinuxDeviceCgroup) ([]limit, error) {
	var out []limit
	for _, d := range rules {
		r, err := deviceRule(d)
		if err != nil {
			return nil, err
		}
		file := "devices.deny"
		if r.Allow {
			file = "devices.allow"
		}
		value := "a"
		if r.Type != devices.WildcardDevice {
			value = fmt.Sprintf("%c %s:%s %s", r.Type, deviceNumber(r.Major), deviceNumber(r.Minor), r.Permissions)
		}
		out = append(out, limit{"devices", file, value, false})
	}
	return out, nil
}

func deviceNumber(n int64) string {
	if n == devices.Wildcard {
		return "*"
	}
	return strconv.FormatInt(n, 10)
}

// setDevicesV2 leaves it to the library to make a BPF program of the rules.
func (m *machine) setDevicesV2(path string, rules []specs.LinuxDeviceCgroup) error {
	if len(rules) == 0 {
		return nil
	}
	r := new(cgroups.Resources)
	for _, d := range rules {
		rule, err := deviceRule(d)
		if err != nil {
			return err
		}
		r.Devices = append(r.Devices, rule)
	}
	if err := cgroups.DevicesSetV2(filepath.Join(m.trees[0].root, path), r); err != nil {
		return fmt.Errorf("limit devices: %w", err)
	}
	return nil
}

func deviceRule(d specs.LinuxDeviceCgroup) (*devices.Rule, error) {
	r := &devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard,
		Permissions: devices.Permissions(d.Access), Allow: d.Allow}
	switch d.Type {
	case "", "a":
	case "c":
		r.Type = devices.CharDevice
	case "b":
		r.Type = devices.BlockDevice
	default:
		return nil, fmt.Errorf("device type %q", d.Type)
	}
	if d.Access == "" {
		r.Permissions = "rwm"
	}
	if d.Major != nil {
		r.Major = *d.Major
	}
	if d.Minor != nil {
		r.Minor = *d.Minor
	}
	if r.Type == devices.WildcardDevice && (len(r.Permissions) != 3 || r.Major != devices.Wildcard || r.Minor != devices.Wildcard) {
		return nil, fmt.Errorf("device rule for all types: it can only be for all devices and with access rwm, not %q", d.Access)
	}
	return r, nil
}
