package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// codes are the exit codes by kind of error; 1 for all others.
var codes = map[fault.Kind]int{
	fault.Invalid:     2,
	fault.NotFound:    3,
	fault.Denied:      4,
	fault.Exists:      5,
	fault.Conflict:    5,
	fault.Exhausted:   6,
	fault.Unavailable: 7,
	fault.Unsupported: 8,
}

// exitError is an exit code that is a container's own, or one that docker gives a meaning.
type exitError struct {
	code int
	err  error // may be nil
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// exit shows an error as one sentence and chooses the code.
func (a *app) exit(cmd *cobra.Command, err error) int {
	var own *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		if own.err != nil {
			fmt.Fprintln(a.err, "dhow:", own.err)
		}
		return own.code
	case errors.Is(err, context.Canceled):
		return 130
	}
	text := err.Error()
	code := codes[fault.Of(err)]
	if code == 0 {
		code = 1
	}
	if hint := unsupportedFlag(cmd, text); hint != "" {
		text, code = hint, codes[fault.Invalid]
		if cmd.Name() == "run" {
			code = exitEngine
		}
	}
	fmt.Fprintln(a.err, "dhow:", text)
	return code
}

// unsupportedFlag turns pflag's complaint into a sentence that says what to do.
func unsupportedFlag(cmd *cobra.Command, text string) string {
	for _, prefix := range []string{"unknown flag: ", "unknown shorthand flag: "} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return fmt.Sprintf("%s does not support the flag %s: see '%s --help' for those it does", cmd.CommandPath(), rest, cmd.CommandPath())
		}
	}
	return ""
}
