package local

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

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
