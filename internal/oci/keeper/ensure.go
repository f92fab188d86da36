package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/oci/keeper/embed"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Ensure starts the keeper of a directory if none runs, upgrades one of another build in place, and
// connects to it.
func Ensure(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{dir: filepath.Join(cfg.Dir, "keeper"), log: cfg.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Binary == nil {
		b, err := embed.Program()
		if err != nil {
			return nil, err
		}
		cfg.Binary = b
	}
	hash := embed.Hash(cfg.Binary)
	hello, err := c.hello(ctx)
	if err == nil && hello.Hash == hash {
		return c, nil
	}
	if err != nil && !fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	program, ferr := sealed(cfg.Binary)
	if ferr != nil {
		return nil, ferr
	}
	defer program.Close()
	if err == nil {
		return c, c.upgrade(ctx, program, hash)
	}
	// A keeper that is dying holds its lock a moment longer than its socket.
	for range 50 {
		if err := c.launch(ctx, program, hash); err != nil {
			return nil, fmt.Errorf("start keeper of %s: %w", cfg.Dir, err)
		}
		if _, err = c.hello(ctx); !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) hello(ctx context.Context) (*proto.Hello, error) {
	r, err := c.ask(ctx, &proto.Request{Op: proto.OpHello})
	if err != nil {
		return nil, err
	}
	if r.Hello == nil {
		return nil, errors.New("the keeper does not say who it is")
	}
	return r.Hello, nil
}

// sealed puts the program where nobody can change it, not even through the
// /proc/<pid>/exe of a process that a container can see (CVE-2019-5736).
func sealed(program []byte) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("dhow-keeper", flags|unix.MFD_EXEC)
	if err == unix.EINVAL {
		// Before Linux 6.3 every memfd is executable.
		fd, err = unix.MemfdCreate("dhow-keeper", flags)
	}
	if err != nil {
		return nil, fmt.Errorf("make program file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "dhow-keeper")
	if _, err := f.Write(program); err != nil {
		f.Close()
		return nil, fmt.Errorf("write program file: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, fmt.Errorf("seal program file: %w", err)
	}
	return f, nil
}

// launch returns when the keeper's socket listens.
func (c *Client) launch(ctx context.Context, program *os.File, hash string) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/fd/"+strconv.Itoa(int(program.Fd())))
	cmd.Args = []string{"dhow-keeper", "start", dir, hash}
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// upgrade replaces the keeper's program; its containers do not notice.
func (c *Client) upgrade(ctx context.Context, program *os.File, hash string) error {
	_, err := c.ask(ctx, &proto.Request{Op: proto.OpUpgrade, Hash: hash}, int(program.Fd()))
	if err != nil {
		return fmt.Errorf("upgrade keeper: %w", err)
	}
	hello, err := c.hello(ctx)
	if err != nil {
		return fmt.Errorf("upgrade keeper: %w", err)
	}
	if hello.Hash != hash {
		return fmt.Errorf("upgrade keeper: it is still build %s", hello.Hash)
	}
	c.log.Info("keeper upgraded in place", "pid", hello.Pid, "build", hash)
	return nil
}

// awaitUnlocked returns when no keeper holds the directory's lock.
func (c *Client) awaitUnlocked(ctx context.Context) error {
	f, err := os.Open(filepath.Join(c.dir, "lock"))
	if err != nil {
		return fmt.Errorf("wait for keeper: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer f.Close()
		done <- unix.Flock(int(f.Fd()), unix.LOCK_SH)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
