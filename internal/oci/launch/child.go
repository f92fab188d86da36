package launch

import (
	"path"
	"strings"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/caps"
	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// payload is what both the first process of a container and an exec become.
type payload struct {
	process  *specs.Process
	identity Identity
	seccomp  *proto.Filter
	tty      bool
	stdio    [3]int
	init     int  // the program to be instead of a command, or -1
	proc     int  // a procfs of its own, for a profile
	full     bool // it has all capabilities to choose from: a user namespace gives them
}

type sockFprog struct {
	len    uint16
	_      [6]byte
	filter uintptr
}

type capHeader struct {
	version uint32
	pid     int32
}

type capData struct{ effective, permitted, inheritable uint32 }

// become adds everything from a prepared process to execve, in the only order that works: limits
// and groups while still root, the bounding set before the user, seccomp last
// unless installing it needs the privilege that is about to go.
func become(t *proc.Table, p *payload) error {
	stdio(t, p)
	if p.process.User.Umask != nil {
		t.Call("set umask", unix.SYS_UMASK, []proc.Arg{proc.Num(*p.process.User.Umask)})
	} else {
		t.Call("set umask", unix.SYS_UMASK, []proc.Arg{proc.Num(0o022)})
	}
	if err := rlimits(t, p.process.Rlimits); err != nil {
		return err
	}
	confine(t, p.proc, p.process.ApparmorProfile)
	if p.seccomp != nil && !p.process.NoNewPrivileges {
		seccomp(t, p.seccomp)
	}
	// As root: the user may lack the right to enter the directory it starts in.
	chdir(t, p.process.Cwd)
	if err := credentials(t, p); err != nil {
		return err
	}
	if p.process.NoNewPrivileges {
		t.Call("set no_new_privs", unix.SYS_PRCTL, []proc.Arg{proc.Num(unix.PR_SET_NO_NEW_PRIVS), proc.Num(1), proc.Num(0), proc.Num(0), proc.Num(0)})
		if p.seccomp != nil {
			seccomp(t, p.seccomp)
		}
	}
	if p.init >= 0 {
		argv := t.Strings([]string{"dhow-init", "init", "-", "-"})
		t.Call("exec init", unix.SYS_EXECVEAT, []proc.Arg{proc.Num(p.init), t.Str(""), argv, t.Strings(nil), proc.Num(unix.AT_EMPTY_PATH)})
		return nil
	}
	env := p.process.Env
	if !hasEnv(env, "HOME") {
		env = append(env[:len(env):len(env)], "HOME="+p.identity.Home)
	}
	t.Exec(p.process.Args[0], candidates(p.process.Args[0], env), p.process.Args, env)
	return nil
}

func stdio(t *proc.Table, p *payload) {
	for i, fd := range p.stdio {
		t.Call("set up standard streams", unix.SYS_DUP3, []proc.Arg{proc.Num(fd), proc.Num(i), proc.Num(0)})
	}
	if p.tty {
		t.Call("take terminal", unix.SYS_IOCTL, []proc.Arg{proc.Num(0), proc.Num(unix.TIOCSCTTY), proc.Num(0)})
	}
	// Whatever is left open ends with execve.
	t.Call("close descriptors", unix.SYS_CLOSE_RANGE, []proc.Arg{proc.Num(3), proc.Num(uint32(1<<32 - 1)), proc.Num(unix.CLOSE_RANGE_CLOEXEC)})
}

// chdir verifies that the new working directory is inside the root: a path through
// another process's descriptors could lead out of it, and getcwd then does not begin with a slash.
func chdir(t *proc.Table, dir string) {
	t.Call("change to "+dir, unix.SYS_CHDIR, []proc.Arg{t.Str(dir)})
	buf := make([]byte, 4096)
	t.Call("find working directory", unix.SYS_GETCWD, []proc.Arg{t.Bytes(buf), proc.Num(len(buf))})
	// Opening it by the name it has fails for "(unreachable)/…".
	t.Call("working directory "+dir+" is outside of the container", unix.SYS_CHDIR, []proc.Arg{t.Bytes(buf)})
}

var rlimitNumbers = map[string]int{
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_DATA": unix.RLIMIT_DATA,
	"RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
	"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE,
	"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": unix.RLIMIT_RTTIME, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
}

func rlimits(t *proc.Table, ls []specs.POSIXRlimit) error {
	for _, l := range ls {
		n, ok := rlimitNumbers[strings.ToUpper(l.Type)]
		if !ok {
			return fault.New(fault.Invalid, "unknown limit %q", l.Type)
		}
		v := &unix.Rlimit{Cur: l.Soft, Max: l.Hard}
		t.Call("set "+l.Type, unix.SYS_PRLIMIT64, []proc.Arg{proc.Num(0), proc.Num(n), t.Ptr(unsafe.Pointer(v)), proc.Num(0)})
	}
	return nil
}

func credentials(t *proc.Table, p *payload) error {
	var c specs.LinuxCapabilities
	if p.process.Capabilities != nil {
		c = *p.process.Capabilities
	}
	var sets [5]caps.Set
	ours, err := ownCapabilities(p)
	if err != nil {
		return err
	}
	for i, list := range [][]string{c.Bounding, c.Effective, c.Permitted, c.Inheritable, c.Ambient} {
		s, err := caps.Parse(list)
		if err != nil {
			return fault.As(fault.Invalid, err)
		}
		sets[i] = s & (1<<(caps.Last()+1) - 1) & ours
	}
	bounding, effective, permitted, inheritable, ambient := sets[0], sets[1], sets[2], sets[3], sets[4]
	for n := 0; n <= caps.Last(); n++ {
		if !bounding.Has(n) {
			t.Call("drop capability from the bounding set", unix.SYS_PRCTL, prctl(unix.PR_CAPBSET_DROP, n), proc.SkipOn(0, unix.EINVAL))
		}
	}
	groups := p.identity.Groups
	if len(groups) > 0 {
		t.Call("set groups", unix.SYS_SETGROUPS, []proc.Arg{proc.Num(len(groups)), t.Ptr(unsafe.Pointer(unsafe.SliceData(groups)))})
	} else {
		t.Call("set groups", unix.SYS_SETGROUPS, []proc.Arg{proc.Num(0), proc.Num(0)})
	}
	gid, uid := proc.Num(p.identity.GID), proc.Num(p.identity.UID)
	t.Call("set group", unix.SYS_SETRESGID, []proc.Arg{gid, gid, gid})
	t.Call("keep capabilities", unix.SYS_PRCTL, prctl(unix.PR_SET_KEEPCAPS, 1))
	t.Call("set user", unix.SYS_SETRESUID, []proc.Arg{uid, uid, uid})
	h := &capHeader{version: unix.LINUX_CAPABILITY_VERSION_3}
	d := &[2]capData{
		{uint32(effective), uint32(permitted), uint32(inheritable)},
		{uint32(effective >> 32), uint32(permitted >> 32), uint32(inheritable >> 32)},
	}
	t.Call("set capabilities", unix.SYS_CAPSET, []proc.Arg{t.Ptr(unsafe.Pointer(h)), t.Ptr(unsafe.Pointer(d))})
	t.Call("keep capabilities", unix.SYS_PRCTL, prctl(unix.PR_SET_KEEPCAPS, 0))
	t.Call("clear ambient capabilities", unix.SYS_PRCTL, prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL), proc.Skip(0))
	for n := 0; n <= caps.Last(); n++ {
		if ambient.Has(n) {
			t.Call("raise ambient capability", unix.SYS_PRCTL, append(prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE)[:2], proc.Num(n), proc.Num(0), proc.Num(0)), proc.Skip(0))
		}
	}
	return nil
}

// ownCapabilities are those there are to give: who asks for all means all of these.
func ownCapabilities(p *payload) (caps.Set, error) {
	if p.full {
		return ^caps.Set(0), nil
	}
	return caps.Held()
}

func prctl(what, arg int) []proc.Arg {
	return []proc.Arg{proc.Num(what), proc.Num(arg), proc.Num(0), proc.Num(0), proc.Num(0)}
}

func seccomp(t *proc.Table, f *proto.Filter) {
	prog := &sockFprog{len: uint16(len(f.Program) / 8)}
	// The header goes into the table, its pointer to the program is pinned with it.
	b := t.Bytes(f.Program)
	prog.filter = b.Value()
	const setModeFilter = 1
	t.Call("install seccomp filter", unix.SYS_SECCOMP, []proc.Arg{proc.Num(setModeFilter), proc.Num(f.Flags), t.Ptr(unsafe.Pointer(prog))})
}

// candidates are the files that name may mean, as execvp finds them.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			search = p
		}
	}
	var out []string
	for _, d := range strings.Split(search, ":") {
		if d == "" {
			d = "."
		}
		out = append(out, path.Join(d, name))
	}
	return out
}

func hasEnv(env []string, key string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, key+"=") {
			return true
		}
	}
	return false
}
