package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
)

// buildView shows a build: a line for each step, its output below it as it comes.
// On a terminal a step's line is coloured by how it ended. Events come one at a time.
type buildView struct {
	w     io.Writer
	quiet bool
	plain bool
	names map[int]string
	tail  map[int][]string // last lines of output of steps that run, for the error
}

func newBuildView(w io.Writer, quiet bool, mode string) *buildView {
	return &buildView{w: w, quiet: quiet, plain: mode == "plain" || !isTerminal(w), names: map[int]string{}, tail: map[int][]string{}}
}

const tailLines = 20

func (v *buildView) event(e engine.BuildEvent) {
	if e.Name != "" {
		v.names[e.Step] = e.Name
	}
	if e.Status == "log" {
		lines := append(v.tail[e.Step], strings.Split(strings.TrimRight(e.Text, "\n"), "\n")...)
		v.tail[e.Step] = lines[max(0, len(lines)-tailLines):]
	}
	if v.quiet {
		return
	}
	name := v.names[e.Step]
	switch e.Status {
	case "start":
		if v.plain {
			fmt.Fprintf(v.w, "#%d %s\n", e.Step, name)
		}
	case "cached":
		v.end(e.Step, green(v.w, "CACHED"), name)
	case "done":
		v.end(e.Step, green(v.w, fmt.Sprintf("DONE %.1fs", e.Seconds)), name)
	case "error":
		v.end(e.Step, red(v.w, "ERROR"), name+": "+e.Text)
	case "log":
		for _, l := range strings.Split(strings.TrimRight(e.Text, "\n"), "\n") {
			fmt.Fprintf(v.w, "#%d   %s\n", e.Step, dim(v.w, l))
		}
	}
}

func (v *buildView) end(step int, status, name string) {
	delete(v.tail, step)
	if v.plain {
		fmt.Fprintf(v.w, "#%d %s\n", step, status)
		return
	}
	fmt.Fprintf(v.w, "#%d %s %s\n", step, name, status)
}

// done shows the output of what failed when it was not shown as it came.
func (v *buildView) done(err error) {
	if err == nil || !v.quiet {
		return
	}
	for step, lines := range v.tail {
		for _, l := range lines {
			fmt.Fprintf(v.w, "#%d   %s\n", step, l)
		}
	}
}
