package build

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func openUnion(dirs []string) (*union.FS, error) { return union.Open(dirs...) }

// owner resolves --chown=user[:group] by the root file system's own files; nil when there is none. A numeric
// user without a group has that number as its group too.
func (b *builder) owner(spec string, on result) (*owner, error) {
	if spec == "" {
		return nil, nil
	}
	user, group, hasGroup := strings.Cut(spec, ":")
	var o owner
	uid, uerr := strconv.ParseUint(user, 10, 32)
	gid, gerr := strconv.ParseUint(group, 10, 32)
	o.uid, o.gid = int(uid), int(gid)
	if uerr == nil && !hasGroup {
		return &owner{o.uid, o.uid}, nil
	}
	if uerr == nil && gerr == nil {
		return &o, nil
	}
	dirs, err := b.o.Store.DirsOf(on.layers)
	if err != nil {
		return nil, err
	}
	root, err := union.Open(dirs...)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if uerr != nil {
		f, err := accountLine(root, "etc/passwd", user, 4)
		if err != nil {
			return nil, err
		}
		o.uid, _ = strconv.Atoi(f[2])
		if !hasGroup {
			o.gid, _ = strconv.Atoi(f[3])
		}
	}
	if hasGroup && gerr != nil {
		f, err := accountLine(root, "etc/group", group, 3)
		if err != nil {
			return nil, err
		}
		o.gid, _ = strconv.Atoi(f[2])
	}
	return &o, nil
}

// accountLine finds name in a passwd(5) or group(5) file.
func accountLine(root *union.FS, file, name string, fields int) ([]string, error) {
	data, err := root.ReadFile(file, 4<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= fields && f[0] == name {
			return f, nil
		}
	}
	return nil, fault.New(fault.Invalid, "--chown: %q is not in the image's /%s", name, file)
}
