// Package engine is the contract between whoever wants containers and whoever
// runs them: images, sandboxes, containers, exec, logs, stats, events.
//
// It is as wide as the Kubernetes CRI and free of Kubernetes words: a sandbox
// is a set of shared namespaces with an address, and it may be a pod or one plain
// `dhow run`. local, fake and cri implement it; enginetest is their suite.
package engine

import (
	"context"
	"io"
	"time"
)

// Engine is safe for concurrent use. Errors are classified with x/fault: NotFound for an unknown id or image,
// Exists, Invalid for a config that can never work, Denied for credentials a registry refused, Unavailable, Exhausted.
// Every call that creates is followed by events; every call that removes is idempotent (an unknown id is no error).
type Engine interface {
	Images
	Sandboxes
	Containers

	// Info says who this is and whether it can work.
	Info(ctx context.Context) (Info, error)
	// Events delivers every change of a sandbox's or container's state from now on, in order per container.
	// The channel closes when ctx ends; a reader that falls behind by more than 4096 events gets a
	// Lost event and must list again.
	Events(ctx context.Context) (<-chan Event, error)
	// Version of the disk layout and the process; Close leaves all containers running.
	Close() error
}

// Info about an engine. Ready and NetworkReady carry the reason when they are not empty.
type Info struct {
	Name, Version   string
	NotReady        string
	NetworkNotReady string
	// Warnings are about this host: what works less well than it could, and what to do about it.
	Warnings []string
	// Runtimes that Sandbox.Runtime may name; "" is always there.
	Runtimes []string
	// CgroupV2 tells which cgroup version containers are limited by.
	CgroupV2 bool
	// AppArmor tells that Security.AppArmor can be kept.
	AppArmor bool
	ImageDir string // the file system that holds images, for its statistics
}

// ---- images ----

// Images is the part of the contract about images. A ref is what a user types ("nginx", "repo:5000/x@sha256:…") or an image ID.
type Images interface {
	// Pull fetches and unpacks; returns the image ID. progress may be nil.
	Pull(ctx context.Context, ref string, auths []Auth, progress func(Progress)) (string, error)
	// Image finds a present image; NotFound.
	Image(ctx context.Context, ref string) (Image, error)
	ListImages(ctx context.Context) ([]Image, error)
	// RemoveImage untags ref, or removes the image and its tags when ref is an ID.
	RemoveImage(ctx context.Context, ref string) error
	ImageUsage(ctx context.Context) (Usage, error)
}

// Auth is one credential to try. An empty Auth is anonymous.
type Auth struct{ Username, Password, IdentityToken, RegistryToken, Server string }

// Progress of one layer of a pull, in bytes; Total is 0 when unknown.
type Progress struct {
	Layer       string // digest
	Done, Total int64
	Status      string // "downloading", "unpacking", "exists", "done"
}

// Image is one present image.
type Image struct {
	ID      string   // sha256 of its config
	Tags    []string // full names
	Digests []string // repo@sha256:…
	Size    int64    // bytes unpacked
	User    string   // as the config says: "", "1000", "app:app"
	Pinned  bool
	Created time.Time
	// Config is what a container inherits.
	Entrypoint, Cmd, Env []string
	WorkingDir           string
	StopSignal           string
	ExposedPorts         []string // "80/tcp"
	Labels               map[string]string
	OS, Architecture     string
}

// Usage of a file system part.
type Usage struct {
	Bytes, Inodes uint64
}

// ---- sandboxes ----

// Sandboxes is the part about sandboxes.
type Sandboxes interface {
	// CreateSandbox makes namespaces, address and cgroup; it is Ready on return. It returns the id.
	CreateSandbox(ctx context.Context, s SandboxConfig) (string, error)
	// StopSandbox kills its containers and gives back address and ports. Idempotent.
	StopSandbox(ctx context.Context, id string) error
	// RemoveSandbox stops and forgets it with all its containers. Idempotent.
	RemoveSandbox(ctx context.Context, id string) error
	Sandbox(ctx context.Context, id string) (Sandbox, error)
	ListSandboxes(ctx context.Context, filter Filter) ([]Sandbox, error)
	// Dial connects to a TCP port on the sandbox's own loopback.
	Dial(ctx context.Context, id string, port uint16) (io.ReadWriteCloser, error)
	SandboxStats(ctx context.Context, id string) (SandboxStats, error)
}

// Filter selects; empty fields match everything.
type Filter struct {
	ID        string
	SandboxID string // containers only
	Labels    map[string]string
}

// Namespace modes.
type Namespace string

const (
	Own    Namespace = ""       // containers: private; sandbox network and IPC: shared by the sandbox's containers
	Shared Namespace = "shared" // PID: one for the whole sandbox
	Host   Namespace = "host"
	Target Namespace = "target" // PID only: that of container ContainerConfig.PIDTarget
)

// SandboxConfig describes a sandbox.
type SandboxConfig struct {
	// Name, UID, Group and Attempt identify it to its owner; (Name, Group, UID, Attempt) is unique, else Exists.
	Name, Group, UID string
	Attempt          uint32
	Labels           map[string]string
	Annotations      map[string]string
	Hostname         string // empty with Network == Host
	LogDir           string // containers' LogPath is below it
	DNS              DNS
	Ports            []PortMapping
	Network          Namespace // Own or Host
	Offline          bool      // Own, but with a loopback only
	PID              Namespace // Own, Shared or Host: the default for its containers
	IPC              Namespace // Own or Host
	User             *UserNamespace
	CgroupParent     string // slash path below the engine's root: "burstable/pod1234"; created if needed
	Resources        Resources
	Sysctls          map[string]string
	Runtime          string // "" is our own; else one of Info.Runtimes
	// AutoRemove removes it when the last of its containers has ended, whoever waits for that. Without it nothing is
	// ever removed that nobody asked to be.
	AutoRemove bool
	// Bandwidth limits in bits per second, 0 for none.
	IngressBandwidth, EgressBandwidth uint64
}

// UserNamespace maps container ids 0..Length-1 to HostID...
type UserNamespace struct{ HostID, Length uint32 }

// DNS becomes resolv.conf. All empty means: no file is made.
type DNS struct{ Servers, Searches, Options []string }

// PortMapping publishes a container port on the host.
type PortMapping struct {
	Protocol                string // "tcp", "udp", "sctp"
	ContainerPort, HostPort uint16
	HostIP                  string
}

// Sandbox states.
const (
	SandboxReady    = "ready"
	SandboxNotReady = "notready" // stopped, or lost its namespaces
)

// Sandbox is one sandbox as it is.
type Sandbox struct {
	ID      string
	Config  SandboxConfig
	State   string
	Created time.Time
	IPs     []string // primary first; empty with host network
	NetNS   string   // path of its network namespace
}

// ---- containers ----

// Containers is the part about containers.
type Containers interface {
	// CreateContainer prepares everything; nothing of the image runs yet.
	CreateContainer(ctx context.Context, sandboxID string, c ContainerConfig) (string, error)
	StartContainer(ctx context.Context, id string) error
	// StopContainer sends the stop signal, then SIGKILL after grace, and returns when the process is gone. Idempotent.
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	// RemoveContainer kills it if need be and forgets it; its log file stays.
	RemoveContainer(ctx context.Context, id string) error
	Container(ctx context.Context, id string) (Container, error)
	ListContainers(ctx context.Context, filter Filter) ([]Container, error)
	// UpdateResources changes the limits of a container, or of a sandbox: those of all its containers together.
	UpdateResources(ctx context.Context, id string, r Resources) error
	// Exec runs a command in the container and returns its exit code. A command that cannot be
	// started is an error (Invalid: not found or not executable).
	Exec(ctx context.Context, id string, e ExecConfig) (int, error)
	// Attach joins the main process's streams until it exits or ctx ends. A reader that joined before the start is
	// waited for when it is slow; a later one that reads nothing is dropped: it must not hold the container up.
	Attach(ctx context.Context, id string, s Streams) error
	// ReopenLog is called after the log file was renamed.
	ReopenLog(ctx context.Context, id string) error
	ContainerStats(ctx context.Context, id string) (ContainerStats, error)
}

// ContainerConfig describes a container. What is empty comes from the image.
type ContainerConfig struct {
	Name        string
	Attempt     uint32
	Image       string // image ID
	Command     []string
	Args        []string
	WorkingDir  string
	Env         []string // "K=V"; added to the image's
	Mounts      []Mount
	Devices     []Device
	Labels      map[string]string
	Annotations map[string]string
	LogPath     string // below SandboxConfig.LogDir; CRI log format; empty: no log file
	Stdin       bool
	StdinOnce   bool
	TTY         bool
	PID         Namespace // Own means the sandbox's
	PIDTarget   string
	Resources   Resources
	Security    Security
	StopSignal  string
	// HostsFile content is bind-mounted by the caller through Mounts; the engine makes resolv.conf and hostname itself.
}

// Mount binds a host path, or a part of it, into the container.
type Mount struct {
	Source string // host directory or file
	// SubPath below Source is resolved without ever leaving Source and mounted by descriptor; it must exist.
	SubPath     string
	Target      string // path in the container
	ReadOnly    bool
	Recursive   bool   // ReadOnly holds for submounts too
	Propagation string // "", "rslave", "rshared"
	// Type "tmpfs" ignores Source; Options are mount options such as "size=64m".
	Type    string
	Options []string
	// Layers mounts an overlay of these directories, topmost first, read-only.
	Layers []string
	// Image mounts the (read-only) file system of an image ID instead of Source.
	Image string
	// MapIDs shifts ownership into the sandbox's user namespace (idmapped mount).
	MapIDs bool
}

// Device is a host device node to make available.
type Device struct{ HostPath, Path, Permissions string }

// Resources limit a container or a sandbox. 0 means unset.
type Resources struct {
	CPUShares         uint64 // cgroup v1 scale, 2..262144
	CPUQuota          int64  // µs per period, -1 for none
	CPUPeriod         uint64 // µs
	MemoryLimit       int64  // bytes, -1 for none
	MemorySwap        int64  // memory + swap, bytes
	MemoryReservation int64
	PidsLimit         int64
	CPUSetCPUs        string
	CPUSetMems        string
	OOMScoreAdj       *int
	HugepageLimits    map[string]uint64
	Unified           map[string]string // cgroup v2 files
	Rlimits           []Rlimit
}

// Rlimit is one setrlimit(2), Type "RLIMIT_NOFILE".
type Rlimit struct {
	Type       string
	Soft, Hard uint64
}

// Security of a container.
type Security struct {
	Privileged         bool
	AddCapabilities    []string // "NET_ADMIN", "ALL"
	DropCapabilities   []string
	User               string  // "1000", "app", "1000:1000"; empty: the image's
	Group              *int64  // overrides the primary group
	SupplementalGroups []int64 // added
	// StrictGroups: groups the image's /etc/group would add are left out.
	StrictGroups    bool
	ReadOnlyRoot    bool
	NoNewPrivileges bool
	// Seccomp: "" and "runtime/default", "unconfined", or "localhost/<absolute path>".
	Seccomp string
	// AppArmor names a profile that is loaded in the kernel: without it, the container is Invalid. "" and
	// "unconfined" are none.
	AppArmor      string
	SELinuxLabel  string
	UnmaskedProc  bool     // leave /proc and /sys as they are
	MaskedPaths   []string // nil: the default list
	ReadOnlyPaths []string
}

// Container states.
const (
	ContainerCreated = "created"
	ContainerRunning = "running"
	ContainerExited  = "exited"
	ContainerUnknown = "unknown"
)

// Container is one container as it is.
type Container struct {
	ID        string
	SandboxID string
	Config    ContainerConfig
	ImageRef  string // repo digest or ID of the image in use
	State     string
	PID       int // of the main process, host view
	Created   time.Time
	Started   time.Time
	Finished  time.Time
	ExitCode  int // 128+n when killed by signal n
	Signal    int
	Reason    string // "Completed", "Error", "OOMKilled", "ContainerCannotRun", "StartError"
	Message   string
	User      *ProcessUser // what it was started as
}

// ProcessUser is a resolved identity.
type ProcessUser struct {
	UID, GID int64
	Groups   []int64
}

// Streams of an exec or attach. nil ones are not connected. With TTY, Stderr is unused.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size
	// Joined, if set, is called once by an Attach that has joined: from then on no output is missed. Attach to a
	// container before it is started, and start it then.
	Joined func()
}

// Size of a terminal in characters.
type Size struct{ Width, Height uint16 }

// ExecConfig is one command in a running container. When ctx ends its process group is killed.
type ExecConfig struct {
	Command []string
	Streams
	// User, Env and WorkingDir are for plain containers; empty means the container's own.
	User       string
	Env        []string
	WorkingDir string
	Privileged bool
}

// Event types.
const (
	SandboxCreated   = "sandbox-created"
	SandboxStopped   = "sandbox-stopped"
	SandboxRemoved   = "sandbox-removed"
	ContainerMade    = "container-created"
	ContainerStarted = "container-started"
	ContainerDied    = "container-exited"
	ContainerRemoved = "container-removed"
	Lost             = "lost"
)

// Event is one change of state.
type Event struct {
	Type      string
	SandboxID string
	Container string // id, for container events
	Time      time.Time
}

// ContainerStats at Time.
type ContainerStats struct {
	ID                           string
	Time                         time.Time
	CPUUsage                     time.Duration // total
	MemoryUsage, WorkingSet, RSS uint64        // bytes
	PageFaults, MajorPageFaults  uint64
	Pids                         uint64
	WritableLayer                Usage // may be some seconds old
	OOMKills                     uint64
}

// SandboxStats at Time.
type SandboxStats struct {
	ID                           string
	Time                         time.Time
	CPUUsage                     time.Duration
	MemoryUsage, WorkingSet, RSS uint64
	Pids                         uint64
	Interfaces                   []InterfaceStats
	Containers                   []ContainerStats
}

// InterfaceStats counts bytes and errors of one interface.
type InterfaceStats struct {
	Name                                 string
	RxBytes, RxErrors, TxBytes, TxErrors uint64
}
