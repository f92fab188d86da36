// Package caps knows the names of Linux capabilities (capabilities(7)) and
// their kernel form. It knows nothing of containers.
package caps

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// names in the order of their numbers, linux/capability.h.
const names = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`

// Names are all capabilities this package knows, "CAP_CHOWN" first, by number.
func Names() []string {
	all := strings.Fields(names)
	for i, n := range all {
		all[i] = "CAP_" + n
	}
	return all
}

// Set is a set of capabilities, bit n for number n.
type Set uint64

// Parse reads names with or without CAP_, in any case. Those that the
// running kernel does not have are dropped; unknown names are an error.
func Parse(list []string) (Set, error) {
	var s Set
	all := strings.Fields(names)
next:
	for _, n := range list {
		want := strings.TrimPrefix(strings.ToUpper(n), "CAP_")
		for i, have := range all {
			if want == have {
				s |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown capability %q", n)
	}
	return s, nil
}

// Last is the number of the running kernel's last capability. It asks the kernel once, and no file: who calls may be in
// the root of a container already.
var Last = sync.OnceValue(func() int {
	n := 0
	for n < 63 {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n+1), 0, 0, 0); err != nil {
			break
		}
		n++
	}
	return n
})

// Has reports whether capability n is in s.
func (s Set) Has(n int) bool { return s>>n&1 == 1 }

// Held are the capabilities that this process may use and hand on.
func Held() (Set, error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return 0, fmt.Errorf("read own capabilities: %w", err)
	}
	return Set(d[0].Permitted) | Set(d[1].Permitted)<<32, nil
}
