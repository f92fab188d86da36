package fake

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

type container struct {
	engine.Container
	argv   []string
	proc   *process
	gone   chan struct{} // closed at exit
	logMu  sync.Mutex
	log    *os.File
	output []byte // what it printed, for Attach without a log; bounded
}

// CreateContainer implements engine.Engine.
func (e *Engine) CreateContainer(_ context.Context, sandbox string, c engine.ContainerConfig) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sandboxes[sandbox]
	if s == nil {
		return "", fault.New(fault.NotFound, "create container %s: sandbox %s: not found", c.Name, sandbox)
	}
	if s.State != engine.SandboxReady {
		return "", fault.New(fault.Invalid, "create container %s: sandbox %s is not ready", c.Name, sandbox)
	}
	img := e.image(c.Image)
	if img == nil {
		return "", fault.New(fault.NotFound, "create container %s: image %s: not present", c.Name, c.Image)
	}
	for _, o := range e.containers {
		if o.SandboxID == sandbox && o.Config.Name == c.Name && o.Config.Attempt == c.Attempt {
			return "", fault.New(fault.Exists, "container %s attempt %d: exists as %s", c.Name, c.Attempt, o.ID)
		}
	}
	ref := img.ID
	if len(img.Digests) > 0 {
		ref = img.Digests[0]
	}
	n := &container{gone: make(chan struct{}), argv: e.argv(img, c)}
	n.Container = engine.Container{ID: e.id("c0"), SandboxID: sandbox, Config: c, ImageRef: ref, State: engine.ContainerCreated, Created: e.now()}
	e.containers[n.ID] = n
	e.emit(engine.ContainerMade, sandbox, n.ID)
	return n.ID, nil
}

// argv merges command and image as every runtime does: a command drops the image's arguments.
func (e *Engine) argv(img *engine.Image, c engine.ContainerConfig) []string {
	cmd, args := c.Command, c.Args
	if len(cmd) == 0 {
		cmd = img.Entrypoint
		if len(args) == 0 {
			args = img.Cmd
		}
	}
	if len(cmd)+len(args) == 0 {
		for _, t := range img.Tags {
			if s := e.Scripts[t]; s != nil {
				return s
			}
		}
	}
	return append(append([]string(nil), cmd...), args...)
}

// StartContainer implements engine.Engine.
func (e *Engine) StartContainer(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	switch {
	case c == nil:
		return fault.New(fault.NotFound, "container %s: not found", id)
	case c.State != engine.ContainerCreated:
		return fault.New(fault.Invalid, "container %s: is %s, not created", id, c.State)
	}
	if err := c.openLog(e.sandboxes[c.SandboxID].Config.LogDir); err != nil {
		return err
	}
	if !known(c.argv) {
		msg := "exec " + strconv.Quote(c.argv[0]) + ": no such file or directory"
		e.exit(c, 128, 0, "StartError", msg)
		return fault.New(fault.Invalid, "start container %s: %s", c.Config.Name, msg)
	}
	c.State, c.Started, c.PID = engine.ContainerRunning, e.now(), 1000+int(e.seq.Add(1))
	c.User = user(c.Config.Security.User)
	e.emit(engine.ContainerStarted, c.SandboxID, id)
	c.proc = e.spawn(c)
	return nil
}

func user(s string) *engine.ProcessUser {
	uid, gid, _ := strings.Cut(s, ":")
	u := &engine.ProcessUser{}
	u.UID, _ = strconv.ParseInt(uid, 10, 64)
	u.GID, _ = strconv.ParseInt(gid, 10, 64)
	return u
}

// exit ends a container that is not over yet; e.mu is held.
func (e *Engine) exit(c *container, code, signal int, reason, msg string) {
	if c.State == engine.ContainerExited {
		return
	}
	if reason == "" {
		reason = "Completed"
		if code != 0 {
			reason = "Error"
		}
	}
	c.State, c.Finished, c.ExitCode, c.Signal, c.Reason, c.Message, c.PID = engine.ContainerExited, e.now(), code, signal, reason, msg, 0
	if c.proc != nil {
		c.proc.kill()
	}
	c.closeLog()
	close(c.gone)
	e.emit(engine.ContainerDied, c.SandboxID, c.ID)
	if s := e.sandboxes[c.SandboxID]; s != nil && s.Config.AutoRemove && e.allEnded(s.ID) {
		go func() { _ = e.RemoveSandbox(context.Background(), s.ID) }()
	}
}

func (e *Engine) allEnded(sandbox string) bool {
	for _, c := range e.containers {
		if c.SandboxID == sandbox && c.State != engine.ContainerExited {
			return false
		}
	}
	return true
}

// Exit makes a running container exit with a code, as if its process had.
func (e *Engine) Exit(id string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[id]; c != nil && c.State == engine.ContainerRunning {
		e.exit(c, code, 0, "", "")
	}
}

// OOM kills a container as the kernel does when its memory is used up.
func (e *Engine) OOM(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[id]; c != nil && c.State == engine.ContainerRunning {
		e.exit(c, 137, 9, "OOMKilled", "")
	}
}

// StopContainer implements engine.Engine: the signal, and SIGKILL after grace for who ignores it.
func (e *Engine) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	e.mu.Lock()
	c := e.containers[id]
	if c == nil || c.State == engine.ContainerExited {
		e.mu.Unlock()
		return nil
	}
	if c.proc == nil || !c.proc.ignoresTerm || grace <= 0 {
		code, sig := 143, 15
		if c.proc == nil || grace <= 0 {
			code, sig = 137, 9
		} else if c.proc.onTerm >= 0 {
			code, sig = c.proc.onTerm, 0
		}
		e.exit(c, code, sig, "", "")
		e.mu.Unlock()
		return nil
	}
	gone := c.gone
	e.mu.Unlock()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.exit(c, 137, 9, "", "")
	return nil
}

// RemoveContainer implements engine.Engine.
func (e *Engine) RemoveContainer(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[id]; c != nil {
		e.remove(c)
	}
	return nil
}

func (e *Engine) remove(c *container) {
	if c.State == engine.ContainerRunning {
		e.exit(c, 137, 9, "", "")
	}
	delete(e.containers, c.ID)
	e.emit(engine.ContainerRemoved, c.SandboxID, c.ID)
}

// Container implements engine.Engine.
func (e *Engine) Container(_ context.Context, id string) (engine.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	if c == nil {
		return engine.Container{}, fault.New(fault.NotFound, "container %s: not found", id)
	}
	return c.Container, nil
}

// ListContainers implements engine.Engine.
func (e *Engine) ListContainers(_ context.Context, f engine.Filter) ([]engine.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []engine.Container{}
	for _, c := range e.containers {
		if (f.ID == "" || f.ID == c.ID) && (f.SandboxID == "" || f.SandboxID == c.SandboxID) && matches(f, c.Config.Labels) {
			out = append(out, c.Container)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// UpdateResources implements engine.Engine.
func (e *Engine) UpdateResources(_ context.Context, id string, r engine.Resources) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sandboxes[id]; s != nil {
		s.Config.Resources = r
		return nil
	}
	c := e.containers[id]
	if c == nil {
		return fault.New(fault.NotFound, "container %s: not found", id)
	}
	c.Config.Resources = r
	return nil
}

func (c *container) openLog(dir string) error {
	if c.Config.LogPath == "" || dir == "" {
		return nil
	}
	path := filepath.Join(dir, c.Config.LogPath)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fault.New(fault.Internal, "open log of %s: %w", c.Config.Name, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fault.New(fault.Internal, "open log of %s: %w", c.Config.Name, err)
	}
	c.log = f
	return nil
}

func (c *container) closeLog() {
	c.logMu.Lock()
	defer c.logMu.Unlock()
	if c.log != nil {
		c.log.Close()
		c.log = nil
	}
}
