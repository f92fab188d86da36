package script

import (
	"context"
	"net"
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	bolt "go.etcd.io/bbolt"
)

// occupy listens where a name server of the host would.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	early := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, syscall.IP_FREEBIND, 1) })
		if err != nil {
			return err
		}
		return set
	}}
	u, err := early.ListenPacket(context.Background(), "udp4", args[0])
	ts.Check(err)
	ts.Defer(func() { u.Close() })
	l, err := early.Listen(context.Background(), "tcp4", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[0]))
	ts.Defer(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// newerStore makes a store look like one of a dhow that comes years from now.
func newerStore(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	db, err := bolt.Open(ts.MkAbs(args[0]), 0o600, nil)
	ts.Check(err)
	ts.Check(db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("about")).Put([]byte("format"), []byte("dhow store 99"))
	}))
	ts.Check(db.Close())
}
