package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// overlayRunner runs commands in a real overlay by chroot, with no other isolation. Bind mounts only.
type overlayRunner struct {
	t    testing.TB
	runs int
}

func (r *overlayRunner) Run(ctx context.Context, s RunSpec) (code int, err error) {
	r.runs++
	root, err := os.MkdirTemp("", "dhow-image-test-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(root)
	lower := strings.Join(s.Lower, ":")
	if lower == "" {
		lower = r.t.TempDir()
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=off,metacopy=off", lower, s.Upper, s.Work)
	if err := syscall.Mount("overlay", root, "overlay", 0, opts); err != nil {
		return 0, fmt.Errorf("mount overlay: %w", err)
	}
	defer func() { err = errors.Join(err, syscall.Unmount(root, syscall.MNT_DETACH)) }()
	for _, m := range s.Mounts {
		target := filepath.Join(root, m.Target)
		if fi, err := os.Stat(m.Source); err == nil && fi.IsDir() {
			_ = os.MkdirAll(target, 0o755)
		} else {
			_ = errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, nil, 0o644))
		}
		src := filepath.Join(m.Source, m.SubPath)
		if m.Type == "overlay" {
			src = filepath.Join(m.Lower[0], m.SubPath)
			os.Remove(target)
			if fi, err := os.Stat(src); err == nil && fi.IsDir() {
				os.MkdirAll(target, 0o755)
			} else {
				os.WriteFile(target, nil, 0o644)
			}
		}
		if err := syscall.Mount(src, target, "", syscall.MS_BIND, ""); err != nil {
			return 0, fmt.Errorf("bind %s: %w", src, err)
		}
		defer func() { err = errors.Join(err, syscall.Unmount(target, syscall.MNT_DETACH)) }()
	}
	cmd := exec.CommandContext(ctx, s.Args[0], s.Args[1:]...)
	cmd.Path = s.Args[0]
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.Env, s.Dir, s.Stdout, s.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// withShell is a context that holds a static shell, from the Go toolchain's point of view: busybox if installed.
func withShell(t testing.TB, m map[string]string) string {
	t.Helper()
	bin := "/bin/busybox"
	b, err := os.ReadFile(bin)
	if err != nil {
		t.Skip("needs /bin/busybox (apt-get install busybox-static)")
	}
	dir := files(t, m)
	if err := os.WriteFile(filepath.Join(dir, "busybox"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

const shellBase = `FROM scratch AS base
COPY busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]
`

type output struct {
	bytes.Buffer
	cached []string
}

func (o *output) event(e Event) {
	o.Write(e.Log)
	if e.State == "cached" {
		o.cached = append(o.cached, e.Name)
	}
}

// cat reads a file of an image as a container would see it.
func cat(t testing.TB, s *image.Store, img image.Image, p string) (string, bool) {
	t.Helper()
	dirs, err := s.DirsOf(img.Layers)
	if err != nil {
		t.Fatal(err)
	}
	u, err := openUnion(dirs)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	b, err := u.ReadFile(p, 1<<20)
	return string(b), err == nil
}

func TestRun(t *testing.T) {
	s := newStore(t)
	dir := withShell(t, map[string]string{"Dockerfile": shellBase + `
RUN /bin/busybox mkdir /d && echo one > /d/a && echo two > /d/b && echo $0
FROM base
ARG WHO=world
ENV GREETING=hello
RUN echo "$GREETING $WHO" > /greeting; echo said
RUN --mount=type=secret,id=tok --mount=type=cache,target=/cache /bin/busybox cat /run/secrets/tok > /tok; echo x >> /cache/count; /bin/busybox wc -l < /cache/count
RUN /bin/busybox rm -r /d && /bin/busybox mkdir /d && echo new > /d/c
RUN <<EOF
echo here > /doc
echo more >> /doc
EOF
RUN <<EOF
#!/bin/busybox sh
echo script > /script
EOF
RUN --mount=type=bind,source=src,target=/mnt /bin/busybox cp /mnt/f /f
RUN true
`, "src/f": "bound"})
	r := &overlayRunner{t: t}
	build := func(args map[string]string) (image.Image, *output) {
		t.Helper()
		r.runs = 0
		out := &output{}
		img, err := Build(context.Background(), Options{Store: s, ContextDir: dir, Runner: r, BuildArgs: args, Secrets: map[string][]byte{"tok": []byte("s3cret")}, Progress: out.event})
		if err != nil {
			t.Fatal(err, out.String())
		}
		return img, out
	}
	img, out := build(nil)
	for p, want := range map[string]string{"greeting": "hello world\n", "tok": "s3cret", "doc": "here\nmore\n", "script": "script\n", "f": "bound", "d/c": "new\n"} {
		if got, _ := cat(t, s, img, p); got != want {
			t.Errorf("%s is %q, want %q", p, got, want)
		}
	}
	for _, gone := range []string{"d/a", "mnt", "cache", "run/secrets", "dev/pipes"} {
		if _, there := cat(t, s, img, gone); there {
			t.Errorf("%s is still there", gone)
		}
		dirs, _ := s.DirsOf(img.Layers)
		if u, err := openUnion(dirs); err == nil {
			if _, err := u.Lstat(gone); err == nil {
				t.Errorf("%s is in the image", gone)
			}
			u.Close()
		}
	}
	if !strings.Contains(out.String(), "said") {
		t.Errorf("output %q", out)
	}
	again, out := build(nil)
	if again.ID != img.ID || r.runs != 0 {
		t.Errorf("not cached: %d runs, %v", r.runs, out.cached)
	}
	if other, _ := build(map[string]string{"WHO": "moon"}); r.runs == 0 || other.ID == img.ID {
		t.Error("build argument made no difference")
	} else if got, _ := cat(t, s, other, "greeting"); got != "hello moon\n" {
		t.Error(got)
	}
}

func TestRunFails(t *testing.T) {
	s := newStore(t)
	dir := withShell(t, map[string]string{"Dockerfile": shellBase + "RUN echo oops; exit 3\n"})
	_, err := Build(context.Background(), Options{Store: s, ContextDir: dir, Runner: &overlayRunner{t: t}})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "Dockerfile:4:") || !strings.Contains(err.Error(), "exit code: 3") {
		t.Error(err)
	}
}

func BenchmarkCached(b *testing.B) {
	s := newStore(b)
	m := map[string]string{"Dockerfile": "FROM scratch AS a\nCOPY . /src/\nWORKDIR /x\nFROM scratch\nCOPY --from=a /src /app\nENV A=1\nCMD [\"/x\"]\n"}
	for i := range 1000 {
		m[fmt.Sprintf("d%d/f%d", i%20, i)] = strings.Repeat("x", 1000)
	}
	dir := files(b, m)
	o := Options{Store: s, ContextDir: dir, Tags: []string{"bench"}}
	if _, err := Build(context.Background(), o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Build(context.Background(), o); err != nil {
			b.Fatal(err)
		}
	}
}

type noopRunner struct{}

func (noopRunner) Run(_ context.Context, s RunSpec) (int, error) {
	return 0, os.WriteFile(filepath.Join(s.Upper, "f"), []byte(s.Env[0]), 0o644)
}

// What a RUN costs besides the command itself.
func BenchmarkRunStep(b *testing.B) {
	s := newStore(b)
	dir := files(b, map[string]string{"Dockerfile": "FROM scratch\nARG N\nRUN " + `["x"]` + "\n"})
	i := 0
	for b.Loop() {
		i++
		_, err := Build(context.Background(), Options{Store: s, ContextDir: dir, Runner: noopRunner{}, BuildArgs: map[string]string{"N": fmt.Sprint(i)}})
		if err != nil {
			b.Fatal(err)
		}
	}
}
