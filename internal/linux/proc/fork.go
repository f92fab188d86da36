package proc

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// cloneArgs is struct clone_args of clone3(2).
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize, cgroup uint64
}

// report is what a failing child writes: magic, index of the call, errno.
type report struct {
	magic, index, errno uint32
}

const (
	reportSize  = 12
	reportMagic = 0x70616864
)

// clone starts the child and never returns in it. Between BeforeFork and the
// end of the loop nothing may allocate, grow the stack or take a lock: the
// child is a copy of one thread of many.
//
//go:noinline
//go:norace
//go:nocheckptr
func clone(args *cloneArgs, ops []op, status uintptr) (pid uintptr, err syscall.Errno) {
	var (
		regs  [Registers]uintptr
		rep   report
		e     syscall.Errno
		r     uintptr
		a     [6]uintptr
		later syscall.Errno
	)
	runtimeBeforeFork()
	pid, _, err = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if err != 0 || pid != 0 {
		runtimeAfterFork()
		return pid, err
	}
	runtimeAfterForkInChild()
	i := 0
	for ; i < len(ops); i++ {
		o := &ops[i]
		for k := 0; k < 6; k++ {
			if n := o.regs[k]; n != 0 {
				a[k] = regs[(n-1)&(Registers-1)]
			} else {
				a[k] = o.args[k]
			}
		}
		r, _, e = syscall.RawSyscall6(o.nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if e == 0 {
			if o.onFail == failZero && r == 0 {
				syscall.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
			}
			if o.onFail == failChain {
				if e = later; e == 0 {
					e = syscall.ENOENT
				}
				break
			}
			if o.save != 0 {
				regs[(o.save-1)&(Registers-1)] = r
			}
			i += int(o.okSkip)
			continue
		}
		if o.onFail == failSkip {
			i += int(o.skip)
			continue
		}
		if x := uint16(e); x == o.allow[0] || x == o.allow[1] || x == o.allow[2] {
			if o.onFail == failLater && e == syscall.EACCES {
				later = e
			}
			i += int(o.skip)
			continue
		}
		break
	}
	rep.magic, rep.index, rep.errno = reportMagic, uint32(i), uint32(e)
	syscall.RawSyscall(unix.SYS_WRITE, status, uintptr(unsafe.Pointer(&rep)), reportSize)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	}
}
