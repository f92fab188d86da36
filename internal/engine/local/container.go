package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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
	layer   layerUsage
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

// upperDir is where a container's writes go, in its directory.
const upperDir = "upper"

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
	root := &overlay{lower: lower, upper: filepath.Join(e.containerDir(id), upperDir), work: filepath.Join(e.containerDir(id), "work"), volatile: true}
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
