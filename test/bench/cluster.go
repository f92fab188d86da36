package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/config"
)

// cluster is one of the bench's own.
type cluster struct {
	b      *bench
	name   string
	layout config.Layout
	api    *api
}

func (b *bench) newCluster() *cluster {
	name := fmt.Sprintf("b%d-%d", os.Getpid(), len(b.made))
	c := &cluster{b: b, name: name, layout: config.Config{Name: name, DataDir: filepath.Join(b.dir, name)}.Places()}
	b.made = append(b.made, c)
	return c
}

// cluster is the one that most rows share: it is up, and has image box.
func (b *bench) cluster() (*cluster, error) {
	if b.main != nil {
		return b.main, nil
	}
	c := b.newCluster()
	if err := c.up(); err != nil {
		return nil, err
	}
	b.main = c
	return c, c.build("box", b.context())
}

func (c *cluster) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.b.bin, args...)
	cmd.Env = append(os.Environ(), "HOME="+c.b.dir, "KUBECONFIG=", "DHOW_NAME="+c.name, "DHOW_DATA_DIR="+c.layout.Data)
	return cmd
}

func (c *cluster) dhow(args ...string) (string, error) { return output(c.command(args...)) }

func (c *cluster) up() error {
	if _, err := c.dhow("up", "-d"); err != nil {
		return err
	}
	var err error
	c.api, err = newAPI(c.layout.Kubeconfig())
	return err
}

func (c *cluster) build(tag, context string, args ...string) error {
	_, err := c.dhow(append([]string{"build", "-q", "-t", tag, context}, args...)...)
	return err
}

func (c *cluster) purge() error {
	if c.api != nil {
		c.api.close()
	}
	_, err := c.dhow("down", "--purge")
	return err
}

// pid of the daemon.
func (c *cluster) pid() (int, error) {
	r, err := c.layout.ReadRunning()
	return r.PID, err
}

// stopDaemon ends the daemon and no container, as an upgrade does.
func (c *cluster) stopDaemon() error {
	pid, err := c.pid()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil || strings.Contains(string(status), "State:\tZ") {
			return nil
		}
	}
	return fmt.Errorf("the daemon, pid %d, does not end", pid)
}

// memory of the daemon in bytes (proc_pid_status(5)).
func (c *cluster) memory() (resident, anonymous int64, err error) {
	pid, err := c.pid()
	if err != nil {
		return 0, 0, err
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, l := range strings.Split(string(raw), "\n") {
		var kb int64
		if _, err := fmt.Sscanf(l, "VmRSS: %d kB", &kb); err == nil {
			resident = kb << 10
		}
		if _, err := fmt.Sscanf(l, "RssAnon: %d kB", &kb); err == nil {
			anonymous = kb << 10
		}
	}
	return resident, anonymous, nil
}

// cpu is the time the daemon has used: the scheduler's own account in ns (/proc/PID/schedstat of all threads is
// finer than the ticks of stat, but counts only threads that still live; Go keeps its threads).
func (c *cluster) cpu() (time.Duration, error) {
	pid, err := c.pid()
	if err != nil {
		return 0, err
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, path := range tasks {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var ns int64
		if _, err := fmt.Sscan(string(raw), &ns); err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}
