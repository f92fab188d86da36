// Package enginetest is the suite that every engine.Engine passes: the fake, the
// real one, an external runtime.
//
// Each test says one sentence of the contract in engine.go. The image must have sh,
// sleep, echo, cat, true and false, as busybox does.
package enginetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// Options say what to test.
type Options struct {
	// New makes an empty engine, or one where only this test's things are looked at; the test ends it.
	New func(t *testing.T) engine.Engine
	// Image makes a busybox-like image present and returns a ref of it.
	Image func(t *testing.T, e engine.Engine) string
	// Network: sandboxes have addresses of their own.
	Network bool
}

// Run runs the suite.
func Run(t *testing.T, o Options) {
	for _, tc := range []struct {
		name string
		f    func(*env)
	}{
		{"Info", info},
		{"Images", images},
		{"SandboxLife", sandboxLife},
		{"SandboxIdentity", sandboxIdentity},
		{"ContainerLife", containerLife},
		{"ExitCodes", exitCodes},
		{"StartError", startError},
		{"StopHonoursGrace", stopGrace},
		{"StopInParallel", stopParallel},
		{"SandboxStopEndsContainers", sandboxStop},
		{"AutoRemove", autoRemove},
		{"EventsInOrder", eventOrder},
		{"EventsEndWithContext", eventsEnd},
		{"Exec", exec},
		{"ExecCancelled", execCancelled},
		{"Logs", logs},
		{"ReopenLog", reopenLog},
		{"Attach", attach},
		{"AttachEarly", attachEarly},
		{"Filters", filters},
		{"Stats", stats},
		{"UnknownIDs", unknownIDs},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			e := o.New(t)
			v := &env{T: t, Engine: e, ctx: ctx, o: &o, dir: t.TempDir()}
			v.image = o.Image(t, e)
			tc.f(v)
		})
	}
}

// env is one test's engine and helpers, which fail the test.
type env struct {
	*testing.T
	engine.Engine
	ctx       context.Context
	o         *Options
	image     string
	dir       string
	sandboxes int
}

func (v *env) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// imageID is the id of the test image.
func (v *env) imageID() string {
	v.Helper()
	i, err := v.Engine.Image(v.ctx, v.image)
	v.must(err)
	return i.ID
}

// sandbox makes one that the test's end removes.
func (v *env) sandbox(change ...func(*engine.SandboxConfig)) string {
	v.Helper()
	v.sandboxes++
	c := engine.SandboxConfig{Name: fmt.Sprintf("s%d", v.sandboxes), Group: "enginetest", UID: v.Name(), Hostname: "box", LogDir: v.dir,
		Labels: map[string]string{"test": v.Name()}}
	for _, f := range change {
		f(&c)
	}
	id, err := v.CreateSandbox(v.ctx, c)
	v.must(err)
	v.Cleanup(func() {
		if err := v.RemoveSandbox(context.Background(), id); err != nil {
			v.Errorf("remove sandbox: %v", err)
		}
	})
	return id
}

// create makes a container that runs a shell script.
func (v *env) create(sandbox, name, script string, change ...func(*engine.ContainerConfig)) string {
	v.Helper()
	c := engine.ContainerConfig{Name: name, Image: v.imageID(), Command: []string{"sh", "-c", script}, LogPath: name + ".log"}
	for _, f := range change {
		f(&c)
	}
	id, err := v.CreateContainer(v.ctx, sandbox, c)
	v.must(err)
	return id
}

// run creates and starts.
func (v *env) run(sandbox, name, script string, change ...func(*engine.ContainerConfig)) string {
	v.Helper()
	id := v.create(sandbox, name, script, change...)
	v.must(v.StartContainer(v.ctx, id))
	return id
}

// state of a container now.
func (v *env) state(id string) engine.Container {
	v.Helper()
	c, err := v.Container(v.ctx, id)
	v.must(err)
	return c
}

// events subscribes.
func (v *env) events() <-chan engine.Event {
	v.Helper()
	ch, err := v.Events(v.ctx)
	v.must(err)
	return ch
}

// exited waits for a container's end through events, which must be subscribed to before it starts.
func (v *env) exited(ch <-chan engine.Event, id string) engine.Container {
	v.Helper()
	for ev := range ch {
		if ev.Type == engine.ContainerDied && ev.Container == id {
			return v.state(id)
		}
	}
	v.Fatalf("container %s: no exit event", id)
	return engine.Container{}
}
