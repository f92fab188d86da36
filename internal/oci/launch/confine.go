package launch

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/apparmor"
	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// confinable refuses a profile that nobody would enforce: who asks for one is not to run without it.
func confinable(p *specs.Process) error {
	switch name := p.ApparmorProfile; {
	case !apparmor.Wanted(name):
	case !apparmor.Enabled():
		return fault.New(fault.Invalid, "AppArmor profile %q: AppArmor is not enabled in this host's kernel", name)
	case !apparmor.Loaded(name):
		return fault.New(fault.Invalid, "AppArmor profile %q: it is not loaded on this host: load it with apparmor_parser(8)", name)
	}
	return nil
}

// ownProc opens what confine needs, while the host's tree is still there.
func (r *room) ownProc(p *specs.Process) error {
	if !apparmor.Wanted(p.ApparmorProfile) {
		return nil
	}
	fd, err := r.privateProc()
	r.attr = fd
	return err
}

// confine has the kernel change to a profile at execve (Documentation/admin-guide/LSM/apparmor.rst). A process can only ask that for
// itself; it does so in a procfs that no container can see, never in one that somebody may have mounted over.
func confine(t *proc.Table, procfs int, profile string) {
	if !apparmor.Wanted(profile) {
		return
	}
	step := "change to AppArmor profile " + profile
	open := func(path string, opts ...proc.Option) {
		t.Call(step, unix.SYS_OPENAT, []proc.Arg{proc.Num(procfs), t.Str(path), proc.Num(unix.O_WRONLY | unix.O_CLOEXEC)}, append(opts, proc.Save(regTarget))...)
	}
	order := []byte("exec " + profile)
	write := func(opts ...proc.Option) {
		t.Call(step, unix.SYS_WRITE, []proc.Arg{proc.Reg(regTarget), t.Bytes(order), proc.Num(len(order))}, opts...)
	}
	// Kernels before 5.8 have the file of whichever module is the first.
	open("self/attr/apparmor/exec", proc.SkipOn(1, unix.ENOENT))
	write(proc.Else(2))
	open("self/attr/exec")
	write()
}
