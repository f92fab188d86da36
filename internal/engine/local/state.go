package local

import (
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/oci/keeper"
)

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
	if event == engine.ContainerDied {
		e.swept(c.record.SandboxID)
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
