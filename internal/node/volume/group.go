package volume

import (
	"context"
	"io/fs"
	"os"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// What the group may do with what it is given, as upstream: read and write; enter directories, whose new files are
// the group's too.
const (
	groupMay   = fs.FileMode(0o660)
	groupEnter = fs.FileMode(0o110) | fs.ModeSetgid
)

// own gives everything in dir to a group. It never leaves dir, whatever containers do there meanwhile. With policy
// OnRootMismatch nothing happens when dir itself is as wanted (KEP-695).
func own(ctx context.Context, dir string, group int, policy corev1.PodFSGroupChangePolicy) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if policy == corev1.FSGroupChangeOnRootMismatch {
		if st, err := root.Lstat("."); err == nil && owned(st, group) {
			return nil
		}
	}
	var top fs.FileInfo
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return gone(err)
		}
		st, err := root.Lstat(path)
		if err != nil {
			return gone(err)
		}
		if path == "." {
			top = st // last: until it is done, a crash leaves a mismatch
			return nil
		}
		return gone(give(root, path, st, group))
	})
	if err != nil || top == nil {
		return err
	}
	return give(root, ".", top, group)
}

func owned(st fs.FileInfo, group int) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	want := groupMay | groupEnter
	return ok && int(sys.Gid) == group && st.Mode()&want == want
}

func give(root *os.Root, path string, st fs.FileInfo, group int) error {
	if err := root.Lchown(path, -1, group); err != nil {
		return err
	}
	mode := st.Mode() | groupMay
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return nil
	case st.IsDir():
		mode |= groupEnter
	}
	return root.Chmod(path, mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
}

// gone forgives what vanished while it was looked at.
func gone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
