package seccomp

import (
	"encoding/binary"
	"math"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// decide runs a program on one call, in the virtual machine of x/net, which reads big-endian words.
func decide(t *testing.T, program []byte, audit, nr uint32, args ...uint64) uint32 {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(program)/8)
	for i := range raw {
		b := program[i*8:]
		raw[i] = bpf.RawInstruction{Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])}
	}
	ins, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("program does not disassemble")
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data, nr)
	binary.BigEndian.PutUint32(data[4:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func TestConditions(t *testing.T) {
	values := []uint64{0, 1, 5, 6, 7, 1 << 32, 1<<32 + 5, 1<<32 + 6, 1<<32 + 7, 2 << 32, math.MaxUint32, math.MaxUint64}
	ops := map[specs.LinuxSeccompOperator]func(a, v uint64) bool{
		specs.OpEqualTo:      func(a, v uint64) bool { return a == v },
		specs.OpNotEqual:     func(a, v uint64) bool { return a != v },
		specs.OpGreaterThan:  func(a, v uint64) bool { return a > v },
		specs.OpGreaterEqual: func(a, v uint64) bool { return a >= v },
		specs.OpLessThan:     func(a, v uint64) bool { return a < v },
		specs.OpLessEqual:    func(a, v uint64) bool { return a <= v },
		specs.OpMaskedEqual:  func(a, v uint64) bool { return a&v == v },
	}
	for op, want := range ops {
		for _, v := range values {
			p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow,
				Args: []specs.LinuxSeccompArg{{Index: 1, Op: op, Value: v, ValueTwo: v}, {Index: 2, Op: specs.OpEqualTo, Value: 9}}}}}
			prog, _, err := Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range values {
				got := decide(t, prog, archesOf(p)[0].audit, uint32(unix.SYS_READ), 0, a, 9) == unix.SECCOMP_RET_ALLOW
				if got != want(a, v) {
					t.Errorf("%s: %#x against %#x: got %v", op, a, v, got)
				}
			}
			if decide(t, prog, archesOf(p)[0].audit, uint32(unix.SYS_READ), 0, v, 8) == unix.SECCOMP_RET_ALLOW {
				t.Errorf("%s: second condition is not looked at", op)
			}
		}
	}
}

func TestDefault(t *testing.T) {
	plain, _, err := Compile(Default(nil))
	if err != nil {
		t.Fatal(err)
	}
	admin, _, err := Compile(Default([]string{"CAP_SYS_ADMIN"}))
	if err != nil {
		t.Fatal(err)
	}
	const eperm, enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	own := archesOf(&specs.LinuxSeccomp{})[0].audit
	for _, c := range []struct {
		name string
		prog []byte
		arch uint32
		nr   int
		arg  uint64
		want uint32
	}{
		{"read", plain, own, unix.SYS_READ, 0, unix.SECCOMP_RET_ALLOW},
		{"mount", plain, own, unix.SYS_MOUNT, 0, eperm},
		{"mount of an admin", admin, own, unix.SYS_MOUNT, 0, unix.SECCOMP_RET_ALLOW},
		{"clone of a thread", plain, own, unix.SYS_CLONE, unix.CLONE_VM, unix.SECCOMP_RET_ALLOW},
		{"clone into a user namespace", plain, own, unix.SYS_CLONE, unix.CLONE_NEWUSER, eperm},
		{"clone3", plain, own, unix.SYS_CLONE3, 0, enosys},
		{"keyctl", plain, own, unix.SYS_KEYCTL, 0, eperm},
		{"io_uring", plain, own, unix.SYS_IO_URING_SETUP, 0, eperm},
		{"vsock", plain, own, unix.SYS_SOCKET, unix.AF_VSOCK, eperm},
		{"socket", plain, own, unix.SYS_SOCKET, unix.AF_INET, unix.SECCOMP_RET_ALLOW},
		{"personality", plain, own, unix.SYS_PERSONALITY, 0x40000, eperm},
		{"a call of the future", plain, own, 999, 0, enosys},
		{"another architecture", plain, 0xdead, unix.SYS_READ, 0, unix.SECCOMP_RET_KILL_PROCESS},
	} {
		if got := decide(t, c.prog, c.arch, uint32(c.nr), c.arg); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
}
