package launch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Identity is what a process runs as, in the container's ids.
type Identity struct {
	UID, GID uint32
	Groups   []uint32
	Home     string
}

// resolveUser finds out about a user in the root's own files.
type resolveUser struct {
	user   string
	group  *uint32
	strict bool
}

func (s resolveUser) String() string { return fmt.Sprintf("resolve user %q", s.user) }

func (s resolveUser) do(r *room) (err error) {
	u := r.spec.Process.User
	base := Identity{UID: u.UID, GID: u.GID, Groups: u.AdditionalGids}
	open := func(name string) (io.ReadCloser, error) {
		fd, err := mount.OpenIn(r.root, name, unix.O_RDONLY|unix.O_NONBLOCK)
		if errors.Is(err, unix.ENOENT) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	r.identity, err = lookup(base, s, open)
	return err
}

// maxAccounts bounds what is read of /etc/passwd and /etc/group.
const maxAccounts = 4 << 20

// lookup understands user[:group], each a name or a number. open gives nil for a missing file.
func lookup(id Identity, s resolveUser, open func(string) (io.ReadCloser, error)) (Identity, error) {
	user, group, hasGroup := strings.Cut(s.user, ":")
	name := ""
	primary := id.GID
	if s.user != "" {
		primary = 0
	}
	n, numeric := number(user)
	if user == "" {
		n, numeric = id.UID, true
	}
	found := false
	err := records(open, "etc/passwd", func(f []string) bool {
		if len(f) < 6 {
			return false
		}
		uid, ok := number(f[2])
		if !ok || (f[0] != user && (!numeric || uid != n)) {
			return false
		}
		found, name, id.Home = true, f[0], f[5]
		n = uid
		if gid, ok := number(f[3]); ok && s.user != "" {
			primary = gid
		}
		return true
	})
	if err != nil {
		return id, err
	}
	if !found && !numeric {
		return id, fault.New(fault.Invalid, "user %q is not in the image's /etc/passwd", user)
	}
	id.UID = n
	gid, groupNumeric := number(group)
	foundGroup := false
	err = records(open, "etc/group", func(f []string) bool {
		if len(f) < 3 {
			return false
		}
		g, ok := number(f[2])
		if !ok {
			return false
		}
		if hasGroup && group != "" && f[0] == group {
			gid, foundGroup = g, true
		}
		if !s.strict && s.user != "" && !hasGroup && name != "" && len(f) > 3 && slices.Contains(strings.Split(f[3], ","), name) {
			id.Groups = append(slices.Clip(id.Groups), g)
		}
		return false
	})
	if err != nil {
		return id, err
	}
	switch {
	case s.group != nil:
		primary = *s.group
	case hasGroup && group != "":
		if !foundGroup && !groupNumeric {
			return id, fault.New(fault.Invalid, "group %q is not in the image's /etc/group", group)
		}
		primary = gid
	}
	id.GID = primary
	if s.user != "" || s.group != nil {
		// A process outside of its own primary group could leave it by setgid, and so pass what is
		// forbidden to the group (CVE-2022-36109). As containerd does.
		id.Groups = append(slices.Clip(id.Groups), primary)
	}
	slices.Sort(id.Groups)
	id.Groups = slices.Compact(id.Groups)
	if id.Home == "" {
		id.Home = "/"
	}
	return id, nil
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

// records calls f with the fields of each line until it says stop.
func records(open func(string) (io.ReadCloser, error), name string, f func([]string) bool) error {
	r, err := open(name)
	if err != nil || r == nil {
		return err
	}
	defer r.Close()
	sc := bufio.NewScanner(io.LimitReader(r, maxAccounts))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if f(strings.Split(strings.TrimSpace(sc.Text()), ":")) {
			return nil
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read /%s of the image: %w", name, err)
	}
	return nil
}
