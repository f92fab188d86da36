package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Client asks one keeper. It holds no connection between calls and is safe for concurrent use.
type Client struct {
	dir     string
	log     *slog.Logger
	filters filterCache
}

// dial connects by the directory's descriptor: the path of a socket is limited to 107 bytes.
func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	dir, err := unix.Open(c.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("open %s: %w", c.dir, err))
	}
	defer unix.Close(dir)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(dir)+"/sock")
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("connect to keeper of %s: %w", filepath.Dir(c.dir), err))
	}
	return conn.(*net.UnixConn), nil
}

// open sends a request; the caller reads replies and closes the connection.
func (c *Client) open(ctx context.Context, r *proto.Request, fds ...int) (*net.UnixConn, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = proto.Write(conn, r, fds...)
	if !stop() || err != nil {
		conn.Close()
		return nil, errors.Join(ctx.Err(), err)
	}
	return conn, nil
}

// read gets one reply, or the error that it is.
func read(ctx context.Context, conn *net.UnixConn) (*proto.Reply, []int, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var r proto.Reply
	fds, err := proto.Read(conn, &r)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			err = errors.New("it hung up")
		}
		return nil, nil, fault.As(fault.Unavailable, fmt.Errorf("read from keeper: %w", err))
	}
	return &r, fds, r.Err()
}

// ask is a request with one reply.
func (c *Client) ask(ctx context.Context, r *proto.Request, fds ...int) (*proto.Reply, error) {
	conn, err := c.open(ctx, r, fds...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reply, _, err := read(ctx, conn)
	return reply, err
}

// Create makes the container's cgroup (Spec.Linux.CgroupsPath, limited by Spec.Linux.Resources) and process; nothing
// of its image runs yet. The pid is the host's. Errors: Exists, Invalid, Unavailable.
func (c *Client) Create(ctx context.Context, ctr Container) (pid int, err error) {
	if ctr.Spec == nil || ctr.Spec.Linux == nil {
		return 0, fault.New(fault.Invalid, "create container %s: no spec", ctr.ID)
	}
	spec, lin := *ctr.Spec, *ctr.Spec.Linux
	if ctr.Seccomp, err = c.filters.compile(lin.Seccomp); err != nil {
		return 0, fmt.Errorf("create container %s: %w", ctr.ID, err)
	}
	path := lin.CgroupsPath
	if path != "" {
		if ctr.Cgroups, err = cgroup.Create(path, lin.Resources); err != nil {
			return 0, fmt.Errorf("create container %s: %w", ctr.ID, err)
		}
	}
	lin.Seccomp, lin.Resources = nil, nil
	spec.Linux, ctr.Spec = &lin, &spec
	reply, err := c.ask(ctx, &proto.Request{Op: proto.OpCreate, ID: ctr.ID, Container: &ctr})
	if err != nil {
		if path != "" && !fault.Is(err, fault.Exists) {
			if rerr := cgroup.Remove(path); rerr != nil {
				c.log.Warn("cgroup of a failed container stays", "container", ctr.ID, "err", rerr)
			}
		}
		return 0, fmt.Errorf("create container %s: %w", ctr.ID, err)
	}
	return reply.Pid, nil
}

// Start lets a created container run its command. A command that is not there or may not be
// executed is Invalid.
func (c *Client) Start(ctx context.Context, id string) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpStart, ID: id})
	return about("start", id, err)
}

// Kill sends a signal to the container's first process. With all and SIGKILL, to every process of its
// cgroup. Conflict when it has exited already.
func (c *Client) Kill(ctx context.Context, id string, sig int, all bool) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpKill, ID: id, Signal: sig, All: all})
	return about("kill", id, err)
}

// Delete kills the container if need be, waits for its end, forgets it and removes its cgroup. Idempotent.
func (c *Client) Delete(ctx context.Context, id string) error {
	reply, err := c.ask(ctx, &proto.Request{Op: proto.OpDelete, ID: id})
	if err != nil {
		return about("delete", id, err)
	}
	for _, st := range reply.States {
		err = errors.Join(err, cgroup.RemoveDirs(ctx, st.Cgroups))
	}
	return about("delete", id, err)
}

// List gives every container that was created and not deleted, oldest first.
func (c *Client) List(ctx context.Context) ([]State, error) {
	reply, err := c.ask(ctx, &proto.Request{Op: proto.OpList})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return reply.States, nil
}

// ReopenLog starts a container's log anew after its file was renamed.
func (c *Client) ReopenLog(ctx context.Context, id string) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpReopen, ID: id})
	return about("reopen log of", id, err)
}

// Resize sets the size of a container's terminal.
func (c *Client) Resize(ctx context.Context, id string, s Size) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpResize, ID: id, Size: &s})
	return about("resize", id, err)
}

// Update changes the limits that r names. path is the container's Spec.Linux.CgroupsPath.
func (c *Client) Update(_ context.Context, path string, r *specs.LinuxResources) error {
	return cgroup.Set(path, r)
}

// Shutdown stops the keeper; Conflict while a container runs.
func (c *Client) Shutdown(ctx context.Context) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpShutdown})
	if err != nil {
		return fmt.Errorf("stop keeper: %w", err)
	}
	return c.awaitUnlocked(ctx)
}

func about(verb, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s container %s: %w", verb, id, err)
}

// Pid is the keeper's own.
func (c *Client) Pid(ctx context.Context) (int, error) {
	h, err := c.hello(ctx)
	if err != nil {
		return 0, err
	}
	return h.Pid, nil
}
