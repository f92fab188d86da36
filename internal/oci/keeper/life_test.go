package keeper_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/linuxtest"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// start creates and starts a container that says "up" when it is.
func (k *kit) start(c keeper.Container) {
	k.Helper()
	if _, err := k.Create(k.ctx, c); err != nil {
		k.Fatal(err)
	}
	if err := k.Start(k.ctx, c.ID); err != nil {
		k.Fatal(err)
	}
}

func TestSignalsAndExitCodes(t *testing.T) {
	k := newKit(t)
	st, _ := k.run(keeper.Container{ID: "self", Spec: k.spec("exit 300")})
	if st.ExitCode != 300&255 || st.Signal != 0 {
		t.Errorf("got %+v", st)
	}
	if err := k.Delete(k.ctx, "self"); err != nil {
		t.Error(err)
	}
	k.start(keeper.Container{ID: "killed", Spec: k.spec("exec sleep 1000")})
	if err := k.Kill(k.ctx, "killed", int(unix.SIGKILL), true); err != nil {
		t.Error(err)
	}
	if st := k.wait("killed"); st.ExitCode != 137 || st.Signal != 9 || st.OOMKilled {
		t.Errorf("got %+v", st)
	}
	if err := k.Kill(k.ctx, "killed", int(unix.SIGTERM), false); !fault.Is(err, fault.Conflict) {
		t.Errorf("killing the dead: %v", err)
	}
	if err := k.Delete(k.ctx, "never was"); err != nil {
		t.Error(err)
	}
}

func TestCommandThatCannotRun(t *testing.T) {
	k := newKit(t)
	for id, c := range map[string]struct{ arg, want string }{
		"missing":   {"/bin/nope", "exec /bin/nope: no such file or directory"},
		"unfound":   {"nope", "exec nope: no such file or directory"},
		"directory": {"/etc", "exec /etc: permission denied"},
	} {
		s := k.spec("")
		s.Process.Args = []string{c.arg}
		s.Linux.CgroupsPath += id
		if _, err := k.Create(k.ctx, keeper.Container{ID: id, Spec: s}); err != nil {
			t.Fatal(err)
		}
		err := k.Start(k.ctx, id)
		if !fault.Is(err, fault.Invalid) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v", id, err)
		}
		k.wait(id)
	}
}

func TestLongAndUnfinishedLines(t *testing.T) {
	k := newKit(t)
	_, log := k.run(keeper.Container{Spec: k.spec("head -c 20000 /dev/zero | tr '\\0' x; echo; echo -n end")})
	var got []string
	for line := range strings.Lines(log) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		got = append(got, f[0]+f[1]+string(rune('0'+len(f[2])/10000)))
	}
	if want := "stdoutP1 stdoutF0 stdoutP0"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReopenLog(t *testing.T) {
	k := newKit(t)
	path := filepath.Join(k.dir, "c.log")
	in, out := pipe(t), pipe(t)
	k.start(keeper.Container{ID: "c", Spec: k.spec("while read x; do echo $x; done"), Stdin: true, StdinOnce: true, LogPath: path})
	h, err := k.Attach(k.ctx, "c", keeper.Attach{Stdin: in.r, Stdout: out.w})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	echo := bufio.NewReader(out.r)
	say := func(s string) {
		if _, err := in.w.WriteString(s + "\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := echo.ReadString('\n'); err != nil || got != s+"\n" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	say("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := k.ReopenLog(k.ctx, "c"); err != nil {
		t.Fatal(err)
	}
	say("two")
	in.w.Close()
	in.r.Close()
	if st := k.wait("c"); st.ExitCode != 0 {
		t.Errorf("got %+v", st)
	}
	if a, b := k.log(path+".1"), k.log(path); a != "stdout F one\n" || b != "stdout F two\n" {
		t.Errorf("got %q and %q", a, b)
	}
	if err := h.Wait(k.ctx); err != nil {
		t.Error(err)
	}
}

type pair struct{ r, w *os.File }

func pipe(t testing.TB) pair {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return pair{r, w}
}

func TestTerminal(t *testing.T) {
	k := newKit(t)
	s := k.spec("stty size; test -t 0 && test -t 1 && ls /dev/console")
	s.Process.ConsoleSize = &specs.Box{Width: 99, Height: 33}
	_, log := k.run(keeper.Container{Spec: s, TTY: true})
	if want := "stdout F 33 99\r\nstdout F /dev/console\r\n"; log != want {
		t.Errorf("got %q, want %q", log, want)
	}
}

func TestExec(t *testing.T) {
	k := newKit(t)
	k.start(keeper.Container{ID: "c", Spec: k.spec("exec sleep 1000")})
	exec := func(e keeper.Exec) (int, string) {
		t.Helper()
		out := pipe(t)
		e.Stdout = out.w
		h, err := k.Exec(k.ctx, "c", e)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		out.w.Close()
		r := out.r
		if e.TTY {
			r = h.Console()
		}
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		code, err := h.Wait(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		return code, b.String()
	}
	sh := func(script string) *specs.Process {
		return &specs.Process{Args: []string{"sh", "-c", script}, Cwd: "/tmp", Env: []string{"PATH=/bin"}}
	}
	if code, out := exec(keeper.Exec{Process: sh("pwd; hostname; id -u; id -G; echo $HOME; exit 3"), User: "app"}); code != 3 || out != "/tmp\nbox\n1000\n1000 50\n/home/app\n" {
		t.Errorf("got %d, %q", code, out)
	}
	if code, out := exec(keeper.Exec{Process: sh("test -t 1 && echo yes"), TTY: true}); code != 0 || out != "yes\r\n" {
		t.Errorf("got %d, %q", code, out)
	}
	p := sh("")
	p.Args = []string{"nope"}
	if _, err := k.Exec(k.ctx, "c", keeper.Exec{Process: p}); !fault.Is(err, fault.Invalid) {
		t.Errorf("exec of nothing: %v", err)
	}
}

func TestOutOfMemory(t *testing.T) {
	k := newKit(t)
	s := k.spec("x=$(yes | tr '\\n' x | head -c 200000000); echo no")
	limit := int64(16 << 20)
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &limit}}
	st, _ := k.run(keeper.Container{Spec: s})
	if !st.OOMKilled || st.ExitCode == 0 {
		t.Errorf("got %+v", st)
	}
}

func TestPidsLimit(t *testing.T) {
	k := newKit(t)
	s := k.spec("sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & echo no")
	limit := int64(4)
	s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
	_, log := k.run(keeper.Container{Spec: s})
	if !strings.Contains(log, "can't fork") {
		t.Errorf("got %q", log)
	}
}

// A client that is gone, however it went, changes nothing.
func TestContainersSurviveTheirClient(t *testing.T) {
	k := newKit(t)
	k.start(keeper.Container{ID: "c", Spec: k.spec("exec sleep 1000")})
	again, err := keeper.Ensure(k.ctx, keeper.Config{Dir: k.dir, Binary: linuxtest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	states, err := again.List(k.ctx)
	if err != nil || len(states) != 1 || states[0].Status != keeper.Running {
		t.Errorf("got %+v, %v", states, err)
	}
}

func TestUpgradeInPlace(t *testing.T) {
	k := newKit(t)
	in, out := pipe(t), pipe(t)
	path := filepath.Join(k.dir, "c.log")
	k.start(keeper.Container{ID: "c", Spec: k.spec("echo -n be; read x; echo $x; exit 5"), Stdin: true, LogPath: path})
	waiting := k.spec("exit 6")
	waiting.Linux.CgroupsPath += "2"
	if _, err := k.Create(k.ctx, keeper.Container{ID: "waiting", Spec: waiting}); err != nil {
		t.Fatal(err)
	}
	h, err := k.Exec(k.ctx, "c", keeper.Exec{Process: &specs.Process{Args: []string{"/bin/sh", "-c", "read y; exit 9"}, Cwd: "/"}, Stdin: in.r, Stdout: out.w})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	// Other bytes at the end make it another build.
	other := append(append([]byte(nil), linuxtest.Keeper(t)...), "new"...)
	c, err := keeper.Ensure(k.ctx, keeper.Config{Dir: k.dir, Binary: other})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.w.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	if code, err := h.Wait(k.ctx); err != nil || code != 9 {
		t.Errorf("exec across the upgrade: %d, %v", code, err)
	}
	if err := c.Start(k.ctx, "waiting"); err != nil {
		t.Error(err)
	}
	if st := k.wait("waiting"); st.ExitCode != 6 {
		t.Errorf("got %+v", st)
	}
	stdin := pipe(t)
	a, err := c.Attach(k.ctx, "c", keeper.Attach{Stdin: stdin.r})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := stdin.w.WriteString("fore\n"); err != nil {
		t.Fatal(err)
	}
	if st := k.wait("c"); st.ExitCode != 5 {
		t.Errorf("got %+v", st)
	}
	if log := k.log(path); log != "stdout F before\n" {
		t.Errorf("got %q", log)
	}
}

func TestKilledKeeperLosesItsContainersAndSaysSo(t *testing.T) {
	k := newKit(t)
	pid, err := k.Create(k.ctx, keeper.Container{ID: "c", Spec: k.spec("exec sleep 1000")})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(k.ctx, "c"); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	keeperPid, err := k.Pid(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(keeperPid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range k.events {
	}
	if k.Client, err = keeper.Ensure(k.ctx, keeper.Config{Dir: k.dir, Binary: linuxtest.Keeper(t)}); err != nil {
		t.Fatal(err)
	}
	states, err := k.List(context.Background())
	if err != nil || len(states) != 1 || states[0].Status != keeper.Exited || !strings.HasPrefix(states[0].Message, "lost") {
		t.Errorf("got %+v, %v", states, err)
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 5000); n != 1 {
		t.Errorf("its process is still there: %v", err)
	}
}
