// Package apparmor says whether the kernel has AppArmor and which profiles are loaded into it.
//
// It knows nothing of containers, and loads no profile: that takes a compiler (apparmor_parser(8)).
package apparmor

import (
	"os"
	"path/filepath"
	"strings"
)

// Unconfined is the name of no profile.
const Unconfined = "unconfined"

// Wanted reports whether name asks for a profile at all.
func Wanted(name string) bool { return name != "" && name != Unconfined }

// Enabled reports whether the running kernel confines programs by AppArmor.
func Enabled() bool { return enabled("/") }

func enabled(root string) bool {
	raw, err := os.ReadFile(filepath.Join(root, "sys/module/apparmor/parameters/enabled"))
	return err == nil && strings.HasPrefix(string(raw), "Y")
}

// Loaded reports whether the kernel has a profile of that name; true where it cannot be known.
func Loaded(name string) bool { return loaded("/", name) }

func loaded(root, name string) bool {
	raw, err := os.ReadFile(filepath.Join(root, "sys/kernel/security/apparmor/profiles"))
	if err != nil {
		return true // securityfs is not mounted: the kernel has the last word
	}
	for line := range strings.Lines(string(raw)) {
		// "NAME (MODE)", and a name may hold spaces and brackets.
		if i := strings.LastIndex(line, " ("); i >= 0 && line[:i] == name {
			return true
		}
	}
	return false
}
