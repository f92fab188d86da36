// Package fault gives an error a kind, so that a caller far away can decide
// what it means without reading its text.
//
// A kind becomes an HTTP status (apiserver), an exit code (cli) and an event
// reason (node) in three tables, nowhere else. Errors read as a path from
// intent to cause: each layer adds its verb and object once with fmt.Errorf
// and %w; the kind travels with the cause.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what class of thing went wrong.
type Kind uint8

// The kinds. Internal is the zero value: an error nobody classified.
const (
	Internal    Kind = iota
	NotFound         // the named thing does not exist
	Exists           // the named thing exists already
	Conflict         // somebody else changed it first: read again and retry
	Invalid          // the request can never succeed as it is
	Denied           // the caller may not do this
	Gone             // the asked-for revision or stream is no longer available: start over
	Unavailable      // try again later, nothing was done
	Exhausted        // a limit was hit: disk, memory, quota, ports
	Unsupported      // this machine or build cannot do it
)

var names = [...]string{"internal", "not found", "exists", "conflict", "invalid", "denied", "gone", "unavailable", "exhausted", "unsupported"}

func (k Kind) String() string { return names[k] }

type fault struct {
	kind Kind
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// New makes an error of a kind. The format understands %w.
func New(kind Kind, format string, args ...any) error {
	return &fault{kind, fmt.Errorf(format, args...)}
}

// As gives err a kind, replacing the one it had. As(kind, nil) is nil.
func As(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &fault{kind, err}
}

// Of is the kind of the outermost classified error in err's chain,
// Internal when there is none.
func Of(err error) Kind {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	return Internal
}

// Is reports whether err has the kind.
func Is(err error, kind Kind) bool { return err != nil && Of(err) == kind }
