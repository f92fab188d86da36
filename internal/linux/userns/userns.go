// Package userns makes user namespaces without leaving a process behind.
package userns

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
)

// Map is one line of uid_map: Size ids from Inside on are those from Outside on.
type Map struct{ Inside, Outside, Size uint32 }

// New makes a user namespace with its maps and opens it. The namespace lives
// as long as the descriptor, or what it was bound to, does.
func New(uids, gids []Map) (fd int, err error) {
	p, err := proc.NewPipes()
	if err != nil {
		return -1, err
	}
	t := new(proc.Table)
	t.KeepOnly(p.ChildFds())
	t.Wait(p)
	c, err := proc.Start(t, p, unix.CLONE_NEWUSER, -1)
	if err != nil {
		p.Close()
		return -1, fmt.Errorf("make user namespace: %w", err)
	}
	defer func() {
		c.Abandon()
		_, _, _ = proc.Reap(c.Pid)
		unix.Close(c.Pidfd)
	}()
	if err := c.Ready(); err != nil {
		return -1, fmt.Errorf("make user namespace: %w", err)
	}
	dir := "/proc/" + strconv.Itoa(c.Pid) + "/"
	if err := write(dir+"uid_map", uids); err != nil {
		return -1, err
	}
	if err := write(dir+"gid_map", gids); err != nil {
		return -1, err
	}
	fd, err = unix.Open(dir+"ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open user namespace: %w", err)
	}
	return fd, nil
}

func write(file string, maps []Map) error {
	var b strings.Builder
	for _, m := range maps {
		fmt.Fprintf(&b, "%d %d %d\n", m.Inside, m.Outside, m.Size)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0); err != nil {
		return fmt.Errorf("write id map: %w", err)
	}
	return nil
}
