package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dhow-project/dhow/internal/config"
)

// commands are what scripts can do beyond testscript's own:
//
//	waitfor PATTERN COMMAND…     run COMMAND again and again until it succeeds and its output matches
//	! waitfor PATTERN COMMAND…   … until it fails or its output does not match; the pattern '' matches any
//	code N COMMAND…              run COMMAND; its exit code must be N
//	let NAME COMMAND…            set NAME to COMMAND's output
//	pidof NAME daemon            set NAME to the daemon's process
//	pidof NAME POD               … to the first process of a pod's container, as the host numbers it
//	signal SIGNAL PID            send KILL, TERM, INT, STOP or CONT
//	nobody COMMAND…              run COMMAND as a user without rights; it must fail
//	freeport NAME                set NAME to a port that nobody uses
//	registry NAME [private]      start an image registry, set NAME to its address; a private one knows sailor with password rosebud
//	pty N FILE COMMAND…          run COMMAND on a terminal and hold the dialogue of FILE with it (pty_test.go); its exit code must be N
//	occupy ADDRESS:PORT          let somebody else have it, TCP and UDP, also when this host does not have the address yet
//	tmpfs SIZE DIR               mount a small file system of its own
//	newerstore FILE              give a store the format of a later version
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"waitfor": waitFor, "code": code, "let": let, "pidof": pidOf, "signal": signal,
		"nobody": nobody, "freeport": freePortCmd, "registry": registryCmd,
		"pty": ptyCmd, "occupy": occupy, "tmpfs": tmpfs, "newerstore": newerStore,
	}
}

func need(ts *testscript.TestScript, neg bool, args []string, atLeast int) {
	if neg || len(args) < atLeast {
		ts.Fatalf("see commands_test.go for how this is used")
	}
}

const patience = 30 * time.Second

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, false, args, 2)
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	pause := 20 * time.Millisecond
	for end := time.Now().Add(patience); ; pause = min(2*pause, 250*time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if (err == nil && pattern.MatchString(ts.ReadFile("stdout"))) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("gave up after %v (last time: %v)", patience, err)
		}
		time.Sleep(pause)
	}
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func let(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func pidOf(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	find := func(pod string) (int, error) { return podProcess(ts.Getenv("DHOW_NAME"), pod) }
	if args[1] == "daemon" {
		find = func(string) (int, error) {
			raw, err := os.ReadFile(config.Layout{Run: filepath.Join("/run/dhow", ts.Getenv("DHOW_NAME"))}.Running())
			if err != nil {
				return 0, err
			}
			var r config.Running
			return r.PID, json.Unmarshal(raw, &r)
		}
	}
	pid, err := find(args[1])
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(pid))
}

// podProcess looks for process 1 of a container of a cluster whose HOSTNAME is the pod's name.
func podProcess(cluster, pod string) (int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	first := regexp.MustCompile(`(?m)^NSpid:.*\s1$`)
	for _, dir := range dirs {
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || !first.Match(status) {
			continue
		}
		cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(cgroup), "/dhow-"+cluster+"/") {
			continue
		}
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && strings.Contains("\x00"+string(environ), "\x00HOSTNAME="+pod+"\x00") {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, fmt.Errorf("no process of pod %s", pod)
}

func signal(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	number := map[string]syscall.Signal{
		"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}[args[0]]
	pid, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, number))
}

func nobody(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	const id = 65534
	cmd := exec.Command(filepath.Join(tools, args[0]), args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	cmd.Env = []string{"HOME=/nonexistent", "DHOW_NAME=" + ts.Getenv("DHOW_NAME")}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if cmd.Run() == nil {
		ts.Fatalf("it worked")
	}
}

func freePortCmd(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	port, err := freePort()
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(port))
}
