package fake

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// process is a running "program": nothing (runs until stopped) or a small script in the words
//
//	true  false  exit N  sleep SECONDS  echo WORDS  cat  printenv NAME  trap (ignore SIGTERM)  while … (for ever)  sh -c "a; b && c"
type process struct {
	cancel      context.CancelFunc
	ignoresTerm bool
	onTerm      int // exit code on SIGTERM, -1 for death by signal
}

func (p *process) kill() { p.cancel() }

var words = map[string]bool{"true": true, "false": true, "exit": true, "sleep": true, "echo": true, "cat": true, "printenv": true, "trap": true, "sh": true}

// known reports whether the program exists; an empty command and anything with a slash in a name we
// do not interpret counts as a server that runs until stopped, except below /missing.
func known(argv []string) bool {
	if len(argv) == 0 {
		return true
	}
	return !strings.HasPrefix(argv[0], "/missing") && argv[0] != "missing"
}

func program(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	return filepath.Base(argv[0])
}

// spawn begins the container's program; e.mu is held.
func (e *Engine) spawn(c *container) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, onTerm: -1, ignoresTerm: strings.Contains(strings.Join(c.argv, " "), "trap")}
	if !words[program(c.argv)] {
		return p
	}
	argv, out := c.argv, &logWriter{c: c, stream: "stdout"}
	go func() {
		code, done := run(ctx, argv, strings.NewReader(""), out, c.Config.Env)
		if !done {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.exit(c, code, 0, "", "")
	}()
	return p
}

// run interprets argv; done is false when ctx ended it.
func run(ctx context.Context, argv []string, in io.Reader, out io.Writer, env []string) (code int, done bool) {
	switch program(argv) {
	case "true", "trap":
	case "false":
		code = 1
	case "exit":
		if len(argv) > 1 {
			code, _ = strconv.Atoi(argv[1])
		}
	case "echo":
		fmt.Fprintln(out, strings.Trim(strings.Join(argv[1:], " "), `"'`))
	case "cat":
		if len(argv) > 1 {
			b, err := os.ReadFile(argv[1])
			out.Write(b)
			if err != nil {
				code = 1
			}
		} else if _, err := io.Copy(out, in); err != nil {
			code = 1
		}
	case "printenv":
		code = 1
		for _, kv := range env {
			if k, v, _ := strings.Cut(kv, "="); len(argv) > 1 && k == argv[1] {
				fmt.Fprintln(out, v)
				code = 0
			}
		}
	case "sleep":
		secs := 0.0
		if len(argv) > 1 {
			secs, _ = strconv.ParseFloat(argv[1], 64)
		}
		t := time.NewTimer(time.Duration(secs * float64(time.Second)))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, false
		}
	case "sh":
		if len(argv) > 2 {
			return shell(ctx, argv[2], in, out, env)
		}
		return shell(ctx, readAll(in), in, out, env)
	default:
		return 127, true
	}
	return code, ctx.Err() == nil
}

func readAll(r io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	return strings.ReplaceAll(string(b), "\n", ";")
}

// shell runs commands separated by ; and &&. exit ends it.
func shell(ctx context.Context, script string, in io.Reader, out io.Writer, env []string) (code int, done bool) {
	for _, part := range strings.Split(script, ";") {
		for _, cmd := range strings.Split(part, "&&") {
			argv := strings.Fields(cmd)
			if len(argv) == 0 {
				continue
			}
			if argv[0] == "while" { // the only loop we know has no end
				<-ctx.Done()
				return 0, false
			}
			if code, done = run(ctx, argv, in, out, env); !done {
				return code, false
			}
			if argv[0] == "exit" {
				return code, true
			}
			if code != 0 {
				break
			}
		}
	}
	return code, true
}

// logWriter writes CRI log lines and remembers the end of what was printed.
type logWriter struct {
	c      *container
	stream string
}

func (l *logWriter) Write(b []byte) (int, error) {
	l.c.logMu.Lock()
	defer l.c.logMu.Unlock()
	if len(l.c.output) < 64<<10 {
		l.c.output = append(l.c.output, b...)
	}
	if l.c.log != nil {
		for _, line := range strings.SplitAfter(string(b), "\n") {
			if line == "" {
				continue
			}
			tag := "F"
			if !strings.HasSuffix(line, "\n") {
				tag, line = "P", line+"\n"
			}
			fmt.Fprintf(l.c.log, "%s %s %s %s", time.Now().Format(time.RFC3339Nano), l.stream, tag, line)
		}
	}
	return len(b), nil
}

// Print writes to a running container's log, as its process would.
func (e *Engine) Print(id, stream, text string) {
	e.mu.Lock()
	c := e.containers[id]
	e.mu.Unlock()
	if c != nil {
		(&logWriter{c, stream}).Write([]byte(text))
	}
}

var _ engine.Engine = (*Engine)(nil)
