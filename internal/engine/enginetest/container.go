package enginetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func containerLife(v *env) {
	ch := v.events()
	s := v.sandbox()
	id := v.create(s, "c", "sleep 1000", func(c *engine.ContainerConfig) { c.Attempt = 3; c.Labels = map[string]string{"a": "b"} })
	if c := v.state(id); c.State != engine.ContainerCreated || c.SandboxID != s || c.Config.Attempt != 3 || c.Config.Labels["a"] != "b" || c.ImageRef == "" {
		v.Errorf("created: %+v", c)
	}
	v.must(v.StartContainer(v.ctx, id))
	if c := v.state(id); c.State != engine.ContainerRunning || c.PID == 0 || c.Started.IsZero() {
		v.Errorf("started: %+v", c)
	}
	if err := v.StartContainer(v.ctx, id); err == nil {
		v.Error("started twice")
	}
	v.must(v.StopContainer(v.ctx, id, 0))
	if c := v.exited(ch, id); c.State != engine.ContainerExited || c.ExitCode == 0 || c.Finished.Before(c.Started) {
		v.Errorf("stopped: %+v", c)
	}
	v.must(v.StopContainer(v.ctx, id, time.Second))
	for range 2 {
		v.must(v.RemoveContainer(v.ctx, id))
	}
	if _, err := v.Container(v.ctx, id); !fault.Is(err, fault.NotFound) {
		v.Errorf("removed: %v", err)
	}
}

func exitCodes(v *env) {
	ch := v.events()
	s := v.sandbox()
	for script, want := range map[string]int{"true": 0, "false": 1, "exit 42": 42} {
		id := v.run(s, strings.ReplaceAll(script, " ", ""), script)
		c := v.exited(ch, id)
		reason := "Completed"
		if want != 0 {
			reason = "Error"
		}
		if c.ExitCode != want || c.Reason != reason || c.Signal != 0 {
			v.Errorf("%s: exit code %d, %s, signal %d", script, c.ExitCode, c.Reason, c.Signal)
		}
	}
}

func startError(v *env) {
	id := v.create(v.sandbox(), "c", "", func(c *engine.ContainerConfig) { c.Command = []string{"/missing/program"} })
	if err := v.StartContainer(v.ctx, id); err == nil {
		v.Error("a program that does not exist was started")
	}
	if c := v.state(id); c.State != engine.ContainerExited || c.ExitCode == 0 || c.Message == "" {
		v.Errorf("%s, exit code %d, message %q", c.State, c.ExitCode, c.Message)
	}
}

// stubborn ignores SIGTERM.
const stubborn = `trap "" TERM; while true; do sleep 1; done`

func stopGrace(v *env) {
	ch := v.events()
	id := v.run(v.sandbox(), "c", stubborn)
	began := time.Now()
	v.must(v.StopContainer(v.ctx, id, 300*time.Millisecond))
	if took := time.Since(began); took > 10*time.Second {
		v.Errorf("took %s", took)
	}
	if c := v.exited(ch, id); c.ExitCode != 137 || c.Signal != 9 {
		v.Errorf("exit code %d, signal %d", c.ExitCode, c.Signal)
	}
}

// stopParallel: a second stop with less grace does not wait for the first.
func stopParallel(v *env) {
	id := v.run(v.sandbox(), "c", stubborn)
	var wg sync.WaitGroup
	first := make(chan struct{})
	wg.Go(func() {
		close(first)
		if err := v.StopContainer(v.ctx, id, time.Hour); err != nil {
			v.Error(err)
		}
	})
	<-first
	v.must(v.StopContainer(v.ctx, id, 0))
	wg.Wait()
}

func eventOrder(v *env) {
	ch := v.events()
	s := v.sandbox()
	id := v.run(s, "c", "true")
	v.exited(v.events2(ch, id), id)
	v.must(v.RemoveContainer(v.ctx, id))
}

// events2 checks the order of one container's events while passing them on.
func (v *env) events2(ch <-chan engine.Event, id string) <-chan engine.Event {
	out := make(chan engine.Event)
	go func() {
		defer close(out)
		var got []string
		for ev := range ch {
			if ev.Container != id {
				continue
			}
			got = append(got, ev.Type)
			if ev.Type == engine.ContainerDied {
				if want := []string{engine.ContainerMade, engine.ContainerStarted, engine.ContainerDied}; !slices.Equal(got, want) {
					v.Errorf("events: %v", got)
				}
			}
			select {
			case out <- ev:
			case <-v.ctx.Done():
				return
			}
			if ev.Type == engine.ContainerDied {
				return
			}
		}
	}()
	return out
}

func exec(v *env) {
	id := v.run(v.sandbox(), "c", "sleep 1000")
	for _, tc := range []struct {
		script, in, out string
		code            int
	}{{"true", "", "", 0}, {"exit 7", "", "", 7}, {"echo hello", "", "hello\n", 0}, {"cat", "in\n", "in\n", 0}} {
		var out bytes.Buffer
		x := engine.ExecConfig{Command: []string{"sh", "-c", tc.script}, Streams: engine.Streams{Stdout: &out, Stderr: &out}}
		if tc.in != "" {
			x.Stdin = strings.NewReader(tc.in)
		}
		code, err := v.Exec(v.ctx, id, x)
		if err != nil || code != tc.code || out.String() != tc.out {
			v.Errorf("%s: %d %q %v", tc.script, code, out.String(), err)
		}
	}
	if _, err := v.Exec(v.ctx, id, engine.ExecConfig{Command: []string{"/missing/program"}}); !fault.Is(err, fault.Invalid) {
		v.Errorf("missing program: %v", err)
	}
	v.must(v.StopContainer(v.ctx, id, 0))
	if _, err := v.Exec(v.ctx, id, engine.ExecConfig{Command: []string{"true"}}); err == nil {
		v.Error("exec in a stopped container")
	}
}

func execCancelled(v *env) {
	id := v.run(v.sandbox(), "c", "sleep 1000")
	ctx, cancel := context.WithTimeout(v.ctx, 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := v.Exec(ctx, id, engine.ExecConfig{Command: []string{"sleep", "1000"}}); !errors.Is(err, context.DeadlineExceeded) {
		v.Errorf("cancelled exec: %v", err)
	}
	if time.Since(began) > 10*time.Second {
		v.Error("it was not killed with its context")
	}
	if v.state(id).State != engine.ContainerRunning {
		v.Error("the container died with it")
	}
}

func logs(v *env) {
	ch := v.events()
	id := v.run(v.sandbox(), "c", "echo one; echo two")
	v.exited(ch, id)
	v.must(v.RemoveContainer(v.ctx, id)) // the log stays
	b, err := os.ReadFile(filepath.Join(v.dir, "c.log"))
	v.must(err)
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) != 2 {
		v.Fatalf("log: %q", b)
	}
	for i, want := range []string{"stdout F one", "stdout F two"} {
		at, rest, _ := strings.Cut(lines[i], " ")
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || rest != want {
			v.Errorf("line %q", lines[i])
		}
	}
}

func reopenLog(v *env) {
	ch := v.events()
	path := filepath.Join(v.dir, "c.log")
	id := v.run(v.sandbox(), "c", "sleep 1; echo after")
	v.must(os.Rename(path, path+".1"))
	v.must(v.ReopenLog(v.ctx, id))
	v.exited(ch, id)
	if b, _ := os.ReadFile(path); !strings.HasSuffix(string(b), "stdout F after\n") {
		v.Errorf("new log: %q", b)
	}
}

func attach(v *env) {
	id := v.run(v.sandbox(), "c", "sleep 1; exit 0")
	joined := 0
	v.must(v.Attach(v.ctx, id, engine.Streams{Stdout: &bytes.Buffer{}, Joined: func() { joined++ }})) // returns at its end
	if joined != 1 {
		v.Errorf("joined %d times", joined)
	}
	if c := v.state(id); c.State != engine.ContainerExited {
		v.Errorf("attach ended while it is %s", c.State)
	}
}

// attachEarly: who attaches before the start misses nothing, however short the container lives.
func attachEarly(v *env) {
	id := v.create(v.sandbox(), "c", "echo hello")
	var out bytes.Buffer
	joined, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- v.Attach(v.ctx, id, engine.Streams{Stdout: &out, Joined: func() { close(joined) }})
	}()
	select {
	case <-joined:
	case err := <-ended:
		v.Fatal(err)
	}
	v.must(v.StartContainer(v.ctx, id))
	v.must(<-ended)
	if out.String() != "hello\n" {
		v.Errorf("output %q", out.String())
	}
}
