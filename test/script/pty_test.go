package script

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// ptyCmd runs dhow or kubectl on a terminal of 80 columns and 24 rows, and holds a dialogue with it:
//
//	expect PATTERN    wait for output that matches, behind what was matched before
//	type TEXT         send it; \r is the return key, \x03 is Ctrl-C
//	size COLSxROWS    change the size
//	let NAME PATTERN  as expect; NAME becomes what is in the parentheses
//	do COMMAND…       run a command beside it, which must succeed
//	try COMMAND…      … which may fail: what it does may end it
//
// What it printed is the script's stdout.
func ptyCmd(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3)
	t, err := openTerminal()
	ts.Check(err)
	defer t.Close()
	ts.Check(t.resize(80, 24))
	cmd := exec.Command(filepath.Join(tools, args[2]), args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = scriptEnv(ts)
	end, err := t.start(cmd)
	ts.Check(err)
	defer ts.Logf("the terminal showed:\n%s", &t.seen)
	for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
		line = variable.ReplaceAllStringFunc(line, func(name string) string { return ts.Getenv(name[1:]) })
		if err := t.step(ts, line); err != nil {
			cmd.Process.Kill()
			<-end
			ts.Fatalf("%s: %v", line, err)
		}
	}
	select {
	case err = <-end:
	case <-time.After(patience):
		cmd.Process.Kill()
		<-end
		ts.Fatalf("it did not end")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	io.WriteString(ts.Stdout(), t.seen.String())
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// variable is one in a dialogue; a lone dollar is a pattern's.
var variable = regexp.MustCompile(`\$[A-Z]+`)

func scriptEnv(ts *testscript.TestScript) []string {
	env := []string{"TERM=xterm"}
	for _, name := range []string{"HOME", "PATH", "KUBECONFIG", "KUBE_EDITOR", "DHOW_NAME", "DHOW_DATA_DIR", "NO_COLOR", "DOCKER_CONFIG"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// terminal is the user's side of one (pty(7)).
type terminal struct {
	*os.File
	program *os.File
	seen    screen
}

func openTerminal() (*terminal, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	t := &terminal{File: os.NewFile(uintptr(fd), "/dev/ptmx")}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		t.program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a terminal: %w", err), t.Close())
	}
	return t, nil
}

func (t *terminal) resize(columns, rows uint16) error {
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	return errors.Join(err, set)
}

// start lets cmd run on the terminal; the channel has its end once all it printed was seen.
func (t *terminal) start(cmd *exec.Cmd) (<-chan error, error) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.program, t.program, t.program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := cmd.Start()
	t.program.Close()
	if err != nil {
		return nil, err
	}
	end := make(chan error, 1)
	go func() {
		io.Copy(&t.seen, t) // ends with EIO when nobody has the program's side open any more
		end <- cmd.Wait()
	}()
	return end, nil
}

func (t *terminal) step(ts *testscript.TestScript, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "expect":
		pattern, err := regexp.Compile("(?m)" + rest)
		if err != nil {
			return err
		}
		_, err = t.seen.await(pattern)
		return err
	case "let":
		name, rest, _ := strings.Cut(rest, " ")
		pattern, err := regexp.Compile("(?m)" + rest)
		if err != nil {
			return err
		}
		found, err := t.seen.await(pattern)
		if err == nil {
			ts.Setenv(name, found[1])
		}
		return err
	case "type":
		text, err := strconv.Unquote(`"` + rest + `"`)
		if err == nil {
			_, err = io.WriteString(t, text)
		}
		return err
	case "size":
		var columns, rows uint16
		if _, err := fmt.Sscanf(rest, "%dx%d", &columns, &rows); err != nil {
			return err
		}
		return t.resize(columns, rows)
	case "do", "try":
		words := strings.Fields(rest)
		path := words[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(tools, path)
		}
		cmd := exec.Command(path, words[1:]...)
		cmd.Env = scriptEnv(ts)
		out, err := cmd.CombinedOutput()
		ts.Logf("%s\n%s", line, out)
		if verb == "try" {
			return nil
		}
		return err
	case "":
		return nil
	}
	return errors.New("see pty_test.go for what can be said")
}

// screen is all that was printed. It is safe for concurrent use.
type screen struct {
	mu      sync.Mutex
	text    []byte
	matched int
	more    chan struct{} // closed by the next output
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(string(s.text), "\r\n", "\n")
}

// await gives what matched, and its parts in parentheses.
func (s *screen) await(pattern *regexp.Regexp) ([]string, error) {
	end := time.After(patience)
	for {
		found, more := s.find(pattern)
		if found != nil {
			return found, nil
		}
		select {
		case <-more:
		case <-end:
			return nil, errors.New("not seen")
		}
	}
}

func (s *screen) find(pattern *regexp.Regexp) ([]string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.text[s.matched:]
	if at := pattern.FindIndex(rest); at != nil {
		s.matched += at[1]
		return pattern.FindStringSubmatch(string(rest)), nil
	}
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return nil, s.more
}
