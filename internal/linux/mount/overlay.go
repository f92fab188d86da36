package mount

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay makes a detached overlay mount. lower goes from top to bottom; an
// empty upper makes it read-only. attrs are MOUNT_ATTR_*.
func Overlay(lower []string, upper, work string, attrs int) (int, error) {
	if len(lower) == 1 && upper == "" {
		// overlayfs wants two directories: one alone is bound read-only instead.
		return bindReadOnly(lower[0])
	}
	fd, err := overlay(lower, upper, work, attrs, true)
	if errors.Is(err, unix.EINVAL) {
		// Before Linux 6.8 the layers are one string, limited to a page.
		return overlay(lower, upper, work, attrs, false)
	}
	return fd, err
}

func overlay(lower []string, upper, work string, attrs int, each bool) (int, error) {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system overlay: %w", err)
	}
	defer unix.Close(fd)
	set := func(k, v string) error {
		if err := unix.FsconfigSetString(fd, k, v); err != nil {
			return why(fd, fmt.Errorf("set %s of overlay to %s: %w", k, v, err))
		}
		return nil
	}
	if each {
		for _, l := range lower {
			if err := set("lowerdir+", l); err != nil {
				return -1, err
			}
		}
	} else {
		escaped := make([]string, len(lower))
		for i, l := range lower {
			escaped[i] = strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(l)
		}
		if err := set("lowerdir", strings.Join(escaped, ":")); err != nil {
			return -1, err
		}
	}
	if upper != "" {
		if err := set("upperdir", upper); err != nil {
			return -1, err
		}
		if err := set("workdir", work); err != nil {
			return -1, err
		}
	}
	return finish(fd, "overlay", attrs)
}

func bindReadOnly(dir string) (int, error) {
	d, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(d)
	m, err := Bind(d, false)
	if err != nil {
		return -1, err
	}
	if err := SetAttr(m, Attr{Set: unix.MOUNT_ATTR_RDONLY, UserNS: -1}, false); err != nil {
		unix.Close(m)
		return -1, err
	}
	return m, nil
}
