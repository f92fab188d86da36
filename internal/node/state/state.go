// Package state is what the node knows about one pod at one moment: what the
// API wants, what the engine has, and what only this process remembers.
//
// pod plans from it, status reports from it; both are pure. It does no I/O.
package state

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

// Pod is the input of a plan and of a status. It is owned by one pod worker.
type Pod struct {
	API *corev1.Pod // newest version seen; never modified
	// Gone: the API has no such pod any more (forced deletion, or it went while we were away).
	Gone      bool
	Sandboxes []engine.Sandbox              // oldest first
	Engine    map[string][]engine.Container // by container name, lowest attempt first
	Mem       Memory
	Now       time.Time
}

// Reason is a CamelCase word and a sentence.
type Reason struct{ Reason, Message string }

// Memory is what is lost with the process. Losing it must never restart a container.
type Memory struct {
	// Failed: the node refused or ended the pod (OutOfcpu, DeadlineExceeded, Evicted); its phase is Failed.
	Failed *Reason

	Volumes      Task
	VolumesError *Reason
	VolumesRetry time.Time
	VolumesDelay time.Duration
	Making       Task // the sandbox
	Sandbox      Retry
	SandboxTry   time.Time // when making a sandbox last failed
	Cleaned      bool      // sandboxes, volumes and directories are gone
	Finalized    bool      // the API was asked to forget the pod
	// KillStart is when the node began to end the whole pod.
	KillStart time.Time
	StartTime time.Time // when the pod was first seen and admitted

	Containers map[string]*Container
	// Dead are the last attempts of containers whose sandbox was removed.
	Dead map[string]engine.Container
	// Messages read from terminated containers, by engine id.
	Messages map[string]string
}

// Task is the state of something that runs beside the worker.
type Task uint8

// Task states.
const (
	Idle Task = iota
	Running
	Done
)

// Container is what is remembered of one container of the spec.
type Container struct {
	Waiting *Reason // why it is not running, when it is not simply starting
	NotTill time.Time

	ImageSpec string // the image of the spec that ImageID was found for
	ImageID   string
	Pull      Task
	PullRetry Retry

	Crash Retry
	Start Task // creating and starting

	// The rest is about the running container with this engine id.
	ID           string
	PostStart    Task
	Kill         *Reason // it must be ended and, by policy, started anew
	KillGrace    *int64  // of the probe that asked for it
	KillStart    time.Time
	Announced    bool // the event that it ends was written
	PreStop      Task
	Stop         Task
	StopDeadline time.Time

	Resizing bool // its limits are not yet those of its spec

	Startup   Verdict
	Readiness Verdict
}

// Verdict is the outcome of a probe with thresholds applied.
type Verdict uint8

// Verdicts.
const (
	Unknown Verdict = iota
	Success
	Failure
)

// Container returns the memory of name, made on first use.
func (m *Memory) Container(name string) *Container {
	c := m.Containers[name]
	if c == nil {
		if m.Containers == nil {
			m.Containers = map[string]*Container{}
		}
		c = &Container{}
		m.Containers[name] = c
	}
	return c
}

// Sandbox is the newest sandbox, nil when there is none.
func (p *Pod) Sandbox() *engine.Sandbox {
	if len(p.Sandboxes) == 0 {
		return nil
	}
	return &p.Sandboxes[len(p.Sandboxes)-1]
}

// Newest is the last attempt of the named container in any sandbox, nil when there is none.
func (p *Pod) Newest(name string) *engine.Container { return p.nth(name, 1) }

// Previous is the attempt before Newest.
func (p *Pod) Previous(name string) *engine.Container { return p.nth(name, 2) }

func (p *Pod) nth(name string, back int) *engine.Container {
	l := p.Engine[name]
	if len(l) < back {
		if d, ok := p.Mem.Dead[name]; ok && back == 1 {
			return &d
		}
		return nil
	}
	return &l[len(l)-back]
}

// Live reports whether c is running or about to.
func Live(c *engine.Container) bool {
	return c != nil && (c.State == engine.ContainerRunning || c.State == engine.ContainerCreated)
}

// Here reports whether c belongs to the newest sandbox.
func (p *Pod) Here(c *engine.Container) bool {
	s := p.Sandbox()
	return c != nil && s != nil && c.SandboxID == s.ID
}

// Find returns the container with an engine id.
func (p *Pod) Find(id string) *engine.Container {
	for _, l := range p.Engine {
		for i := range l {
			if l[i].ID == id {
				return &l[i]
			}
		}
	}
	return nil
}

// Put stores what the engine said of c, replacing what was known.
func (p *Pod) Put(c engine.Container) {
	if p.Engine == nil {
		p.Engine = map[string][]engine.Container{}
	}
	l := p.Engine[c.Config.Name]
	for i := range l {
		if l[i].ID == c.ID {
			l[i] = c
			return
		}
	}
	i := len(l)
	for i > 0 && l[i-1].Config.Attempt > c.Config.Attempt {
		i--
	}
	l = append(l, engine.Container{})
	copy(l[i+1:], l[i:])
	l[i] = c
	p.Engine[c.Config.Name] = l
}

// Drop forgets a container.
func (p *Pod) Drop(id string) {
	for name, l := range p.Engine {
		for i := range l {
			if l[i].ID == id {
				p.Engine[name] = append(l[:i:i], l[i+1:]...)
				return
			}
		}
	}
}

// PutSandbox stores what the engine said of s.
func (p *Pod) PutSandbox(s engine.Sandbox) {
	for i := range p.Sandboxes {
		if p.Sandboxes[i].ID == s.ID {
			p.Sandboxes[i] = s
			return
		}
	}
	p.Sandboxes = append(p.Sandboxes, s)
}

// DropSandbox forgets a sandbox and its containers.
func (p *Pod) DropSandbox(id string) {
	for i := range p.Sandboxes {
		if p.Sandboxes[i].ID == id {
			p.Sandboxes = append(p.Sandboxes[:i:i], p.Sandboxes[i+1:]...)
			break
		}
	}
	for name, l := range p.Engine {
		kept := l[:0:0]
		for _, c := range l {
			if c.SandboxID != id {
				kept = append(kept, c)
			}
		}
		p.Engine[name] = kept
	}
}

// KeepDead is called before a sandbox is removed: the last words of its containers stay known for the final status.
func (p *Pod) KeepDead() {
	for name, l := range p.Engine {
		if len(l) > 0 {
			if p.Mem.Dead == nil {
				p.Mem.Dead = map[string]engine.Container{}
			}
			p.Mem.Dead[name] = l[len(l)-1]
		}
	}
}
