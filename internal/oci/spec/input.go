// Package spec compiles what an engine wants of a container into a
// runtime-spec configuration: a list of rules (compile.go), one a file, all pure.
//
// It knows nothing of Kubernetes and does no I/O. Read input.go first.
package spec

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Input is what an engine knows of a container. What is empty comes from Image, then from defaults.
type Input struct {
	Image Image

	Command, Args, Env []string // Env "K=V" is added to the image's, later ones winning
	WorkingDir         string
	Hostname           string
	Domainname         string
	TTY                bool
	Width, Height      uint16 // of the terminal

	// Rootfs is the directory of the root; unused with an overlay.
	Rootfs       string
	ReadOnlyRoot bool

	Mounts    []Mount
	Devices   []Device
	Resources *specs.LinuxResources // without device rules
	Rlimits   []specs.POSIXRlimit
	Sysctls   map[string]string
	// CgroupPath is below the root of every hierarchy, with a leading slash. CgroupWritable lets the container
	// make groups of its own.
	CgroupPath     string
	CgroupWritable bool
	OOMScoreAdj    *int

	Namespaces Namespaces
	Security   Security

	Annotations map[string]string
}

// Image is what the image's configuration gives.
type Image struct {
	Entrypoint, Cmd, Env []string
	WorkingDir           string
	User                 string
}

// Namespaces by path. "" is a new one, Host is the host's.
type Namespaces struct {
	Net, IPC, UTS, PID, Cgroup string
	User                       string // "" is the host's here; else a path, or New with mappings
	UIDs, GIDs                 []specs.LinuxIDMapping
}

// Words for a namespace other than a path.
const (
	Host = "host"
	New  = "new"
)

// Mount is a bind mount of Source, or a file system of Type.
type Mount struct {
	Source, Target string
	SubPath        string // resolved below Source without leaving it
	Type           string // "" binds
	Options        []string
	ReadOnly       bool
	Recursive      bool   // ReadOnly holds for the mounts below as well
	Propagation    string // "", "rslave", "rshared" …
	MapIDs         bool   // shift owners into the container's user namespace
}

// Device is a node; Type is "c" or "b", Permissions of "rwm". The engine looks its numbers up on the host.
type Device struct {
	Path, Type   string
	Major, Minor int64
	Permissions  string
	Mode         uint32
	UID, GID     uint32
}

// Security of a container.
type Security struct {
	Privileged        bool
	Add, Drop         []string // capabilities, with or without CAP_, or ALL
	UID, GID          *uint32  // when known as numbers; names are resolved by the keeper (Container.User)
	SupplementalGIDs  []uint32
	NoNewPrivileges   bool
	Seccomp           *specs.LinuxSeccomp // nil: unconfined
	AppArmor, SELinux string
	Unmasked          bool     // leave /proc and /sys as they are
	Masked, ReadOnly  []string // nil: the default lists
	Umask             *uint32
}
