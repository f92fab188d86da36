package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// container is one container. mu guards the record; act serialises what changes it.
type container struct {
	act     sync.Mutex
	mu      sync.Mutex
	record  containerRecord
	removed bool
	exited  chan struct{} // closed when the record says so
}

func (e *Engine) containerDir(id string) string { return filepath.Join(e.containerRoot(), id) }

func (e *Engine) container(id string) (*container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[id]; c != nil {
		return c, nil
	}
	return nil, unknown("container", id)
}

func (e *Engine) containersOf(sandbox string) []*container {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*container
	for _, c := range e.containers {
		if c.record.SandboxID == sandbox {
			out = append(out, c)
		}
	}
	return out
}

// overlay is the root of a container: its layers, and where its writes go.
type overlay struct {
	lower       []string
	upper, work string
	volatile    bool // nobody will want it after a crash: a container does not outlive one
}

// CreateContainer is engine.Containers'.
func (e *Engine) CreateContainer(ctx context.Context, sandboxID string, config engine.ContainerConfig) (string, error) {
	im, err := e.images.Get(config.Image)
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", config.Name, err)
	}
	c, err := e.newContainer(ctx, sandboxID, config, im, nil)
	if err != nil {
		return "", err
	}
	return c.record.ID, nil
}

// newContainer makes a container of an image, or of root when it is given.
func (e *Engine) newContainer(ctx context.Context, sandboxID string, config engine.ContainerConfig, im image.Image, root *overlay) (*container, error) {
	s, err := e.sandbox(sandboxID)
	if err != nil {
		return nil, err
	}
	in := s.view()
	if in.State != engine.SandboxReady {
		return nil, fault.New(fault.Unavailable, "create container %s: sandbox %s is stopped", config.Name, sandboxID)
	}
	c := &container{exited: make(chan struct{}), record: containerRecord{
		ID: newID(), SandboxID: sandboxID, Config: config, ImageRef: imageRef(im),
		Created: time.Now(), Last: lastState{State: engine.ContainerCreated},
	}}
	if root == nil {
		c.record.ImageID = im.ID.String()
	}
	c.act.Lock()
	defer c.act.Unlock()
	if err := e.makeContainer(ctx, c, in, im, root); err != nil {
		err = fmt.Errorf("create container %s: %w", config.Name, err)
		return nil, errors.Join(err, e.unmakeContainer(context.WithoutCancel(ctx), c))
	}
	e.emit(c, engine.ContainerMade)
	return c, nil
}

func imageRef(im image.Image) string {
	if len(im.RepoDigests) > 0 {
		return im.RepoDigests[0]
	}
	return im.ID.String()
}

// makeContainer is the order in which a container comes to be; its record comes first.
func (e *Engine) makeContainer(ctx context.Context, c *container, s engine.Sandbox, im image.Image, root *overlay) error {
	r := &c.record
	dir := e.containerDir(r.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := saveRecord(dir, r); err != nil {
		return err
	}
	e.mu.Lock()
	e.containers[r.ID] = c
	e.mu.Unlock()
	if root == nil {
		var err error
		if root, err = e.imageRoot(r.ImageID, r.ID); err != nil {
			return err
		}
	}
	in, err := e.input(ctx, c, s, im)
	if err != nil {
		return err
	}
	compiled, err := spec.Compile(in)
	if err != nil {
		return err
	}
	if p := logPath(s.Config, r.Config); p != "" {
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
	}
	pid, err := e.keeper.Create(ctx, keeper.Container{
		ID: r.ID, Spec: compiled,
		Overlay: &keeper.Overlay{Lower: root.lower, Upper: root.upper, Work: root.work, Volatile: root.volatile},
		User:    userOf(r.Config, im), Group: toUint32(r.Config.Security.Group), StrictGroups: r.Config.Security.StrictGroups,
		LogPath: logPath(s.Config, r.Config),
		Stdin:   r.Config.Stdin, StdinOnce: r.Config.StdinOnce, TTY: r.Config.TTY,
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Last.PID = pid
	return nil
}

// imageRoot prepares a root of an image's layers, which stay as long as the container does.
func (e *Engine) imageRoot(imageID, id string) (*overlay, error) {
	if err := e.images.Acquire(imageID, id); err != nil {
		return nil, err
	}
	lower, err := e.images.LayerDirs(imageID)
	if err != nil {
		return nil, err
	}
	root := &overlay{lower: lower, upper: filepath.Join(e.containerDir(id), "upper"), work: filepath.Join(e.containerDir(id), "work"), volatile: true}
	for _, d := range []string{root.upper, root.work} {
		if err := os.Mkdir(d, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return root, nil
}

func logPath(s engine.SandboxConfig, c engine.ContainerConfig) string {
	if s.LogDir == "" || c.LogPath == "" {
		return ""
	}
	return filepath.Join(s.LogDir, c.LogPath)
}

func toUint32(n *int64) *uint32 {
	if n == nil {
		return nil
	}
	u := uint32(*n)
	return &u
}

// StartContainer is engine.Containers'.
func (e *Engine) StartContainer(ctx context.Context, id string) error {
	c, err := e.container(id)
	if err != nil {
		return err
	}
	c.act.Lock()
	defer c.act.Unlock()
	if state := c.state(); state != engine.ContainerCreated {
		return fault.New(fault.Conflict, "start container %s: it is %s", c.record.Config.Name, state)
	}
	if err := e.keeper.Start(ctx, id); err != nil {
		e.failed(c, err)
		return fmt.Errorf("start container %s: %w", c.record.Config.Name, err)
	}
	e.learn(c, keeper.State{ID: id, Status: keeper.Running, Pid: c.record.Last.PID, Started: time.Now()})
	return nil
}

func (c *container) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Last.State
}

// failed notes that the payload could not be executed, as docker and containerd report it.
func (e *Engine) failed(c *container, err error) {
	e.mu.Lock()
	_, known := e.containers[c.record.ID]
	e.mu.Unlock()
	if !known {
		return
	}
	now := time.Now()
	code := 128
	if text := err.Error(); strings.Contains(text, "no such file") {
		code = 127
	} else if strings.Contains(text, "permission denied") {
		code = 126
	}
	e.change(c, func(l *lastState) string {
		if l.State == engine.ContainerExited {
			l.Reason, l.Message, l.ExitCode = "StartError", err.Error(), code
			return ""
		}
		*l = lastState{State: engine.ContainerExited, Started: now, Finished: now, ExitCode: code, Reason: "StartError", Message: err.Error()}
		return engine.ContainerDied
	})
}

// change edits the last state and tells the world with the event that f returns. Only an end is written down: until
// then the keeper knows better.
func (e *Engine) change(c *container, f func(*lastState) string) {
	c.mu.Lock()
	before := c.record.Last
	event := f(&c.record.Last)
	if l := c.record.Last; !c.removed && (l.State == engine.ContainerExited || l.State == engine.ContainerUnknown) && l != before {
		if err := saveRecord(e.containerDir(c.record.ID), c.record); err != nil {
			e.log.Error("save container record", "container", c.record.ID, "error", err)
		}
	}
	if c.record.Last.State == engine.ContainerExited {
		select {
		case <-c.exited:
		default:
			close(c.exited)
		}
	}
	c.mu.Unlock()
	if event != "" {
		e.emit(c, event)
	}
}

func (e *Engine) emit(c *container, event string) {
	e.events.send(engine.Event{Type: event, SandboxID: c.record.SandboxID, Container: c.record.ID, Time: time.Now()})
}

// learn takes over what the keeper says. It may be told the same thing twice.
func (e *Engine) learn(c *container, s keeper.State) {
	e.change(c, func(l *lastState) string {
		if s.Status == keeper.Exited && l.State != engine.ContainerExited {
			l.State, l.Finished = engine.ContainerExited, s.Finished
			if !s.Started.IsZero() {
				l.Started = s.Started
			}
			l.ExitCode, l.Signal, l.Message = s.ExitCode, s.Signal, s.Message
			l.Reason = exitReason(s)
			return engine.ContainerDied
		}
		if s.Status == keeper.Running && l.State == engine.ContainerCreated {
			l.State, l.Started, l.PID = engine.ContainerRunning, s.Started, s.Pid
			return engine.ContainerStarted
		}
		return ""
	})
}

func exitReason(s keeper.State) string {
	switch {
	case s.OOMKilled:
		return "OOMKilled"
	case s.ExitCode == 0:
		return "Completed"
	}
	return "Error"
}

// StopContainer is engine.Containers'.
func (e *Engine) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	c, err := e.container(id)
	if err != nil {
		return nil
	}
	return e.stopContainer(ctx, c, grace)
}

// stopContainer does not take act: a second, shorter stop must be able to overtake a long one.
func (e *Engine) stopContainer(ctx context.Context, c *container, grace time.Duration) error {
	switch c.state() {
	case engine.ContainerExited, engine.ContainerUnknown:
		return nil
	case engine.ContainerCreated:
		grace = 0
	}
	id := c.record.ID
	if grace > 0 {
		if err := e.keeper.Kill(ctx, id, int(stopSignal(c.record.Config.StopSignal)), false); err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("stop container %s: %w", c.record.Config.Name, err)
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.exited:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	if err := e.keeper.Kill(ctx, id, int(syscall.SIGKILL), true); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("kill container %s: %w", c.record.Config.Name, err)
	} else if err != nil { // the keeper never heard of it, or has forgotten it: so it is gone
		e.lost(c)
	}
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lost notes an end that nobody saw.
func (e *Engine) lost(c *container) {
	e.change(c, func(l *lastState) string {
		if l.State == engine.ContainerExited {
			return ""
		}
		l.State, l.Finished, l.ExitCode, l.Reason = engine.ContainerExited, time.Now(), 255, "ContainerStatusUnknown"
		l.Message = "The container ended while nobody watched: its exit code is not known."
		return engine.ContainerDied
	})
}

// RemoveContainer is engine.Containers'.
func (e *Engine) RemoveContainer(ctx context.Context, id string) error {
	c, err := e.container(id)
	if err != nil {
		return nil
	}
	return e.removeContainer(ctx, c)
}

func (e *Engine) removeContainer(ctx context.Context, c *container) error {
	c.act.Lock()
	defer c.act.Unlock()
	if c.removed {
		return nil
	}
	if err := e.stopContainer(ctx, c, 0); err != nil {
		return err
	}
	if err := e.unmakeContainer(ctx, c); err != nil {
		return fmt.Errorf("remove container %s: %w", c.record.Config.Name, err)
	}
	e.emit(c, engine.ContainerRemoved)
	return nil
}

// unmakeContainer forgets a container that does not run. It may be repeated.
func (e *Engine) unmakeContainer(ctx context.Context, c *container) error {
	id := c.record.ID
	if err := e.keeper.Delete(ctx, id); err != nil {
		return err
	}
	c.mu.Lock()
	c.removed = true
	c.mu.Unlock()
	if c.record.ImageID != "" {
		e.images.Release(id)
	}
	err := os.RemoveAll(e.containerDir(id))
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.containers, id)
	return err
}

// Container is engine.Containers'.
func (e *Engine) Container(_ context.Context, id string) (engine.Container, error) {
	c, err := e.container(id)
	if err != nil {
		return engine.Container{}, err
	}
	return c.view(), nil
}

func (c *container) view() engine.Container {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, l := c.record, c.record.Last
	return engine.Container{
		ID: r.ID, SandboxID: r.SandboxID, Config: r.Config, ImageRef: r.ImageRef, State: l.State, PID: l.PID,
		Created: r.Created, Started: l.Started, Finished: l.Finished,
		ExitCode: l.ExitCode, Signal: l.Signal, Reason: l.Reason, Message: l.Message, User: l.User,
	}
}

// ListContainers is engine.Containers'.
func (e *Engine) ListContainers(_ context.Context, f engine.Filter) ([]engine.Container, error) {
	e.mu.Lock()
	all := make([]*container, 0, len(e.containers))
	for _, c := range e.containers {
		all = append(all, c)
	}
	e.mu.Unlock()
	var out []engine.Container
	for _, c := range all {
		v := c.view()
		if (f.ID == "" || f.ID == v.ID) && (f.SandboxID == "" || f.SandboxID == v.SandboxID) && matches(f.Labels, v.Config.Labels) {
			out = append(out, v)
		}
	}
	return out, nil
}

// ReopenLog is engine.Containers'.
func (e *Engine) ReopenLog(ctx context.Context, id string) error { return e.keeper.ReopenLog(ctx, id) }

// UpdateResources is engine.Containers'.
func (e *Engine) UpdateResources(ctx context.Context, id string, r engine.Resources) error {
	c, err := e.container(id)
	if fault.Is(err, fault.NotFound) {
		if s, ok := e.sandbox(id); ok == nil {
			return e.updateSandbox(ctx, s, r)
		}
	}
	if err != nil {
		return err
	}
	s, err := e.sandbox(c.record.SandboxID)
	if err != nil {
		return err
	}
	if err := e.keeper.Update(ctx, e.containerCgroup(s.view().Config, id), linuxResources(r)); err != nil {
		return fmt.Errorf("update container %s: %w", c.record.Config.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record.Config.Resources = r
	return saveRecord(e.containerDir(id), c.record)
}
