package enginetest

import (
	"context"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func info(v *env) {
	i, err := v.Info(v.ctx)
	v.must(err)
	if i.Name == "" || i.Version == "" || i.NotReady != "" {
		v.Errorf("info: %+v", i)
	}
}

func images(v *env) {
	i, err := v.Engine.Image(v.ctx, v.image)
	v.must(err)
	if i.ID == "" {
		v.Error("an image without an id")
	}
	if j, err := v.Engine.Image(v.ctx, i.ID); err != nil || j.ID != i.ID {
		v.Errorf("by id: %v, %v", j.ID, err)
	}
	if _, err := v.Engine.Image(v.ctx, "no.such/image:ever"); !fault.Is(err, fault.NotFound) {
		v.Errorf("unknown image: %v", err)
	}
	l, err := v.ListImages(v.ctx)
	v.must(err)
	found := false
	for _, x := range l {
		found = found || x.ID == i.ID
	}
	if !found {
		v.Error("a present image is not listed")
	}
	v.must(v.RemoveImage(v.ctx, "no.such/image:ever"))
	if u, err := v.ImageUsage(v.ctx); err != nil || u.Bytes == 0 {
		v.Errorf("usage: %+v %v", u, err)
	}
}

func sandboxLife(v *env) {
	id := v.sandbox()
	s, err := v.Sandbox(v.ctx, id)
	v.must(err)
	if s.State != engine.SandboxReady || s.Config.Labels["test"] != v.Name() || s.Created.IsZero() {
		v.Errorf("%+v", s)
	}
	if v.o.Network && len(s.IPs) == 0 {
		v.Error("a ready sandbox without an address")
	}
	for range 2 {
		v.must(v.StopSandbox(v.ctx, id))
	}
	s, err = v.Sandbox(v.ctx, id)
	v.must(err)
	if s.State != engine.SandboxNotReady {
		v.Errorf("stopped, but %s", s.State)
	}
	if _, err := v.CreateContainer(v.ctx, id, engine.ContainerConfig{Name: "c", Image: v.imageID()}); err == nil {
		v.Error("a container was made in a stopped sandbox")
	}
	for range 2 {
		v.must(v.RemoveSandbox(v.ctx, id))
	}
	if _, err := v.Sandbox(v.ctx, id); !fault.Is(err, fault.NotFound) {
		v.Errorf("removed, but %v", err)
	}
}

func sandboxIdentity(v *env) {
	same := func(c *engine.SandboxConfig) { c.Name = "same" }
	v.sandbox(same)
	c := engine.SandboxConfig{Name: "same", Group: "enginetest", UID: v.Name()}
	if id, err := v.CreateSandbox(v.ctx, c); !fault.Is(err, fault.Exists) {
		v.Errorf("made twice: %v", err)
		_ = v.RemoveSandbox(v.ctx, id)
	}
	v.sandbox(same, func(c *engine.SandboxConfig) { c.Attempt = 1 })
}

func sandboxStop(v *env) {
	ch := v.events()
	s := v.sandbox()
	id := v.run(s, "c", "sleep 1000")
	v.must(v.StopSandbox(v.ctx, s))
	if c := v.exited(ch, id); c.State != engine.ContainerExited || c.ExitCode == 0 {
		v.Errorf("%s, exit code %d", c.State, c.ExitCode)
	}
	v.must(v.RemoveSandbox(v.ctx, s))
	if _, err := v.Container(v.ctx, id); !fault.Is(err, fault.NotFound) {
		v.Errorf("container outlived its sandbox: %v", err)
	}
}

func filters(v *env) {
	label := func(k string) func(*engine.ContainerConfig) {
		return func(c *engine.ContainerConfig) { c.Labels = map[string]string{"k": k, "test": v.Name()} }
	}
	a, b := v.sandbox(), v.sandbox()
	c1, c2 := v.create(a, "one", "true", label("1")), v.create(b, "two", "true", label("2"))
	for _, tc := range []struct {
		f    engine.Filter
		want []string
	}{
		{engine.Filter{ID: c1}, []string{c1}},
		{engine.Filter{SandboxID: b}, []string{c2}},
		{engine.Filter{Labels: map[string]string{"k": "2", "test": v.Name()}}, []string{c2}},
		{engine.Filter{SandboxID: a, Labels: map[string]string{"k": "2"}}, nil},
	} {
		l, err := v.ListContainers(v.ctx, tc.f)
		v.must(err)
		if len(l) != len(tc.want) || len(l) == 1 && l[0].ID != tc.want[0] {
			v.Errorf("%+v: %d containers", tc.f, len(l))
		}
	}
	l, err := v.ListSandboxes(v.ctx, engine.Filter{Labels: map[string]string{"test": v.Name()}})
	v.must(err)
	if len(l) != 2 {
		v.Errorf("%d sandboxes", len(l))
	}
}

func stats(v *env) {
	s := v.sandbox()
	id := v.run(s, "c", "sleep 1000")
	c, err := v.ContainerStats(v.ctx, id)
	v.must(err)
	if c.ID != id || c.Time.IsZero() || c.MemoryUsage == 0 {
		v.Errorf("%+v", c)
	}
	st, err := v.SandboxStats(v.ctx, s)
	v.must(err)
	if st.ID != s || len(st.Containers) != 1 || st.Containers[0].ID != id {
		v.Errorf("%+v", st)
	}
}

func unknownIDs(v *env) {
	ctx := v.ctx
	v.must(v.StopSandbox(ctx, "none"))
	v.must(v.RemoveSandbox(ctx, "none"))
	v.must(v.StopContainer(ctx, "none", 0))
	v.must(v.RemoveContainer(ctx, "none"))
	for name, f := range map[string]func() error{
		"start":  func() error { return v.StartContainer(ctx, "none") },
		"state":  func() error { _, err := v.Container(ctx, "none"); return err },
		"stats":  func() error { _, err := v.ContainerStats(ctx, "none"); return err },
		"exec":   func() error { _, err := v.Exec(ctx, "none", engine.ExecConfig{Command: []string{"true"}}); return err },
		"attach": func() error { return v.Attach(ctx, "none", engine.Streams{}) },
		"create": func() error {
			_, err := v.CreateContainer(ctx, "none", engine.ContainerConfig{Name: "c", Image: v.imageID()})
			return err
		},
	} {
		if err := f(); !fault.Is(err, fault.NotFound) {
			v.Errorf("%s of an unknown id: %v", name, err)
		}
	}
}

func eventsEnd(v *env) {
	ctx, cancel := context.WithCancel(v.ctx)
	ch, err := v.Events(ctx)
	v.must(err)
	cancel()
	for range ch { // must end
	}
}

// autoRemove: the last container's end is the sandbox's, and no other's.
func autoRemove(v *env) {
	events := v.events()
	id := v.sandbox(func(c *engine.SandboxConfig) { c.AutoRemove = true })
	long := v.run(id, "long", "while true; do sleep 1; done")
	short := v.run(id, "short", "exit 3")
	if c := v.exited(events, short); c.ExitCode != 3 {
		v.Errorf("%+v", c)
	}
	if s, err := v.Sandbox(v.ctx, id); err != nil || s.State != engine.SandboxReady {
		v.Errorf("one container still runs: %v, %v", s.State, err)
	}
	v.must(v.StopContainer(v.ctx, long, 0))
	for ev := range events {
		if ev.Type == engine.SandboxRemoved && ev.SandboxID == id {
			break
		}
	}
	if _, err := v.Container(v.ctx, short); !fault.Is(err, fault.NotFound) {
		v.Errorf("a container of a removed sandbox: %v", err)
	}
}
