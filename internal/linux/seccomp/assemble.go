package seccomp

import (
	"encoding/binary"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Offsets in struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// x32Bit marks calls of the x32 ABI, which no profile of ours names.
const x32Bit = 0x40000000

// assembler collects instructions. Jumps in classic BPF go forward only and at most 255 far, except ja.
type assembler struct{ prog []unix.SockFilter }

func (a *assembler) add(code uint16, k uint32, jt, jf uint8) {
	a.prog = append(a.prog, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (a *assembler) load(off uint32) { a.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off, 0, 0) }
func (a *assembler) ret(k uint32)    { a.add(unix.BPF_RET|unix.BPF_K, k, 0, 0) }

const jeq = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K

// section is the part of the program for one architecture; other ones jump over it.
func (a *assembler) section(arch arch, rules []rule, def uint32) error {
	body := &assembler{}
	body.load(offNr)
	if arch.x32 {
		body.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, x32Bit, 0, 1)
		body.ret(refuse(def))
	}
	numbers := table()
	last := uint32(0)
	for _, r := range rules {
		for _, name := range r.names {
			nr := numbers.number(name, arch.column)
			if nr < 0 {
				continue
			}
			last = max(last, uint32(nr))
			if err := body.match(uint32(nr), r); err != nil {
				return err
			}
		}
	}
	if def&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO {
		body.add(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, last, 0, 1)
		body.ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	}
	body.ret(def)
	a.load(offArch)
	a.add(jeq, arch.audit, 1, 0)
	a.add(unix.BPF_JMP|unix.BPF_JA, uint32(len(body.prog)), 0, 0)
	a.prog = append(a.prog, body.prog...)
	return nil
}

// refuse is what a call gets that no rule can name: never more than the default allows.
func refuse(def uint32) uint32 {
	if def == unix.SECCOMP_RET_ALLOW || def == unix.SECCOMP_RET_LOG {
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	return def
}

// match returns the rule's action for a call, with the number in the accumulator before and after.
func (a *assembler) match(nr uint32, r rule) error {
	if len(r.cases) == 0 {
		a.add(jeq, nr, 0, 1)
		a.ret(r.action)
		return nil
	}
	body := &assembler{}
	for _, c := range r.cases {
		if err := body.conditions(c, r.action); err != nil {
			return err
		}
	}
	body.load(offNr)
	if len(body.prog) > 255 {
		return fault.New(fault.Invalid, "seccomp rule for %v has too many conditions", r.names)
	}
	a.add(jeq, nr, 0, uint8(len(body.prog)))
	a.prog = append(a.prog, body.prog...)
	return nil
}

// conditions returns the action when all hold, else falls through.
func (a *assembler) conditions(args []specs.LinuxSeccompArg, action uint32) error {
	body := &assembler{}
	var fails []int // instructions whose jf (or jt, when negative) goes to the end
	for _, arg := range args {
		f, err := body.condition(arg)
		if err != nil {
			return err
		}
		fails = append(fails, f...)
	}
	body.ret(action)
	end := len(body.prog)
	for _, f := range fails {
		if f < 0 {
			body.prog[-f].Jt = uint8(end + f - 1)
		} else {
			body.prog[f].Jf = uint8(end - f - 1)
		}
	}
	a.prog = append(a.prog, body.prog...)
	return nil
}

// condition compares one 64-bit argument as two words (little-endian machines only) and
// goes on after it when it holds. It gives the jumps to patch for when it does not.
func (a *assembler) condition(arg specs.LinuxSeccompArg) (fails []int, err error) {
	low := uint32(offArgs + 8*arg.Index)
	high := low + 4
	v, mask := arg.Value, ^uint64(0)
	if arg.Op == specs.OpMaskedEqual {
		mask, v = arg.Value, arg.ValueTwo
	}
	word := func(off uint32, shift uint) {
		a.load(off)
		if m := uint32(mask >> shift); m != ^uint32(0) {
			a.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, m, 0, 0)
		}
	}
	test := func(op uint16, shift uint, jt, jf uint8) int {
		a.add(unix.BPF_JMP|op|unix.BPF_K, uint32(v>>shift), jt, jf)
		return len(a.prog) - 1
	}
	switch arg.Op {
	case specs.OpEqualTo, specs.OpMaskedEqual:
		word(high, 32)
		fails = append(fails, test(unix.BPF_JEQ, 32, 0, 0))
		word(low, 0)
		fails = append(fails, test(unix.BPF_JEQ, 0, 0, 0))
	case specs.OpNotEqual:
		word(high, 32)
		test(unix.BPF_JEQ, 32, 0, 2) // unlike: holds, past load and test of the other word
		word(low, 0)
		fails = append(fails, -test(unix.BPF_JEQ, 0, 0, 0))
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		op := uint16(unix.BPF_JGT)
		if arg.Op == specs.OpGreaterEqual {
			op = unix.BPF_JGE
		}
		word(high, 32)
		test(unix.BPF_JGT, 32, 3, 0)
		fails = append(fails, test(unix.BPF_JEQ, 32, 0, 0))
		word(low, 0)
		fails = append(fails, test(op, 0, 0, 0))
	case specs.OpLessThan, specs.OpLessEqual:
		op := uint16(unix.BPF_JGE)
		if arg.Op == specs.OpLessEqual {
			op = unix.BPF_JGT
		}
		word(high, 32)
		fails = append(fails, -test(unix.BPF_JGT, 32, 0, 0))
		test(unix.BPF_JEQ, 32, 0, 2) // below: holds
		word(low, 0)
		fails = append(fails, -test(op, 0, 0, 0))
	default:
		return nil, fault.New(fault.Invalid, "unknown seccomp operator %q", arg.Op)
	}
	return fails, nil
}

// maxProgram is BPF_MAXINSNS.
const maxProgram = 4096

func (a *assembler) bytes() ([]byte, error) {
	if len(a.prog) > maxProgram {
		return nil, fault.New(fault.Invalid, "seccomp profile is too long: %d instructions of %d", len(a.prog), maxProgram)
	}
	out := make([]byte, 0, len(a.prog)*8)
	for _, i := range a.prog {
		out = binary.NativeEndian.AppendUint16(out, i.Code)
		out = append(out, i.Jt, i.Jf)
		out = binary.NativeEndian.AppendUint32(out, i.K)
	}
	return out, nil
}
