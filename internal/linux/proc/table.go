package proc

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Table is a list of system calls for a child, in order. Its strings and
// buffers are kept alive and in place until Start returns.
//
// A result can be kept in a register and used as an argument of a later call.
// Use NewTable.
type Table struct {
	ops   []op
	names []string
	pin   runtime.Pinner
	more  []*Table // whose calls were appended
	done  bool
}

// Registers of a Table.
const Registers = 32

// Arg is an argument of a call: a number, or the content of a register.
type Arg struct {
	v   uintptr
	reg int8 // register + 1; 0 is none
}

// op is laid out so that the child's loop needs no function call.
type op struct {
	nr     uintptr
	args   [6]uintptr
	regs   [6]int8 // register + 1 to load into an argument, 0 for none
	save   int8    // register + 1 to save the result in
	onFail uint8
	skip   uint8 // how many ops to skip when failing with failSkip, or on success with okSkip
	okSkip uint8
	// tolerated errors; 0 ends the list
	allow [3]uint16
}

const (
	failAbort = iota
	failSkip  // any error is tolerated
	failZero  // a result of 0 means: our parent is gone, exit silently
	failLater // tolerated errors are remembered, the last op of a chain reports them
	failChain // report what failLater remembered, ENOENT if nothing
)

// Num is a plain argument.
func Num[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64 | ~uintptr](n T) Arg {
	return Arg{v: uintptr(n)}
}

// Reg is what register n holds.
func Reg(n int) Arg { return Arg{reg: int8(n + 1)} }

// Str is a pointer to a NUL-terminated copy of s.
func (t *Table) Str(s string) Arg {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return t.Ptr(unsafe.Pointer(&b[0]))
}

// Bytes is a pointer to b, 0 when it is empty.
func (t *Table) Bytes(b []byte) Arg {
	if len(b) == 0 {
		return Arg{}
	}
	return t.Ptr(unsafe.Pointer(&b[0]))
}

// Ptr is an address. What it points to must not itself hold Go pointers that are not pinned.
func (t *Table) Ptr(p unsafe.Pointer) Arg {
	t.pin.Pin(p)
	return Arg{v: uintptr(p)}
}

// Strings is a NULL-terminated vector of strings, as execve takes it.
func (t *Table) Strings(ss []string) Arg {
	v := make([]uintptr, len(ss)+1)
	for i, s := range ss {
		v[i] = t.Str(s).v
	}
	return t.Ptr(unsafe.Pointer(&v[0]))
}

// Option changes how the result of a call is taken.
type Option func(*op)

// Save keeps the result in register n.
func Save(n int) Option { return func(o *op) { o.save = int8(n + 1) } }

// Skip tolerates every error: the next n calls are left out then.
func Skip(n int) Option { return func(o *op) { o.onFail, o.skip = failSkip, uint8(n) } }

// SkipOn tolerates only these errors (at most three): the next n calls are left out then.
func SkipOn(n int, errs ...unix.Errno) Option {
	return func(o *op) {
		o.skip = uint8(n)
		for i, e := range errs {
			o.allow[i] = uint16(e)
		}
	}
}

// Else leaves out the next n calls when this one succeeds.
func Else(n int) Option { return func(o *op) { o.okSkip = uint8(n) } }

// ExitOnZero ends the child silently when the result is 0: a read that met the end.
func ExitOnZero() Option { return func(o *op) { o.onFail = failZero } }

// Call adds a system call; name is what a failure of it is called.
func (t *Table) Call(name string, nr uintptr, args []Arg, opts ...Option) {
	o := op{nr: nr}
	for i, a := range args {
		o.args[i], o.regs[i] = a.v, a.reg
	}
	for _, f := range opts {
		f(&o)
	}
	t.ops = append(t.ops, o)
	t.names = append(t.names, name)
}

// Exec adds execve of the first of paths that can be run. It must come last.
func (t *Table) Exec(name string, paths, argv, env []string) {
	a, e := t.Strings(argv), t.Strings(env)
	chain := len(paths) != 1 || paths[0] != name
	for _, p := range paths {
		t.Call("exec "+p, unix.SYS_EXECVE, []Arg{t.Str(p), a, e}, func(o *op) {
			if chain {
				o.onFail = failLater
				o.allow = [3]uint16{uint16(unix.ENOENT), uint16(unix.EACCES), uint16(unix.ENOTDIR)}
			}
		})
	}
	if chain {
		t.Call("exec "+name, unix.SYS_GETPID, nil, func(o *op) { o.onFail = failChain })
	}
}

// Failure is a call of a Table that failed in the child.
type Failure struct {
	Step  string
	Errno unix.Errno
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %s", f.Step, f.Errno.Error()) }

func (f *Failure) Unwrap() error { return f.Errno }

// release lets the garbage collector move and free what the table points to.
func (t *Table) release() {
	t.pin.Unpin()
	for _, u := range t.more {
		u.release()
	}
}

// Names are the names of the calls in order, for tests of what a table does.
func (t *Table) Names() []string { return t.names }

// Value is the number of a plain argument: the address of what Str, Bytes or Ptr pinned.
func (a Arg) Value() uintptr { return a.v }

// Append adds all calls of u, which is used up by that.
func (t *Table) Append(u *Table) {
	t.ops = append(t.ops, u.ops...)
	t.names = append(t.names, u.names...)
	t.more = append(t.more, u)
	u.done = true
}
