package pod

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/node/status"
)

// Deps is what a worker needs from the rest of the node. Everything in it is safe for concurrent use.
type Deps struct {
	Engine  engine.Engine
	Images  Images
	Volumes Volumes
	Build   Builder
	Hooks   Hooks
	Probes  Probes
	API     API
	Events  Recorder
	Host    func() status.Host
	// Own tells whose events a sandbox's are; a nil worker ends that.
	Own func(sandbox string, w *Worker)
	Log *slog.Logger
	// Patience is how long a worker waits for an engine call before it reports in between; 0 means 50 ms.
	Patience time.Duration
}

// Images finds and pulls images.
type Images interface {
	// Present answers at once when no pull is needed: the image's ID, or a Failure that a pull cannot help, or "" when a pull is needed.
	Present(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (id string, err error)
	// Pull fetches; equal pulls at the same time are one.
	Pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (id string, err error)
}

// Volumes makes and removes what containers mount.
type Volumes interface {
	// Prepare makes every volume of the pod, again after an error.
	Prepare(ctx context.Context, pod *corev1.Pod) error
	// Update rewrites what depends on the pod's own metadata.
	Update(pod *corev1.Pod)
	// Release removes them and the pod's directory. Idempotent.
	Release(ctx context.Context, pod *corev1.Pod) error
}

// Builder turns specs into engine configs.
type Builder interface {
	Sandbox(ctx context.Context, pod *corev1.Pod, attempt uint32) (engine.SandboxConfig, error)
	// Container may return a Failure with a reason such as CreateContainerConfigError.
	Container(ctx context.Context, r ContainerRequest) (engine.ContainerConfig, error)
	// Message reads what a terminated container left to say.
	Message(pod *corev1.Pod, c *corev1.Container, n *engine.Container) string
}

// ContainerRequest is what a container's config is built from.
type ContainerRequest struct {
	Pod     *corev1.Pod
	Spec    *corev1.Container
	Target  string // ephemeral containers: engine id of the target container
	Sandbox *engine.Sandbox
	Image   string // ID
	Attempt uint32
}

// Hooks runs lifecycle handlers.
type Hooks interface {
	Run(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id, podIP string, h *corev1.LifecycleHandler) error
}

// Probes runs the probes of running containers.
type Probes interface {
	// Watch starts the probes of a running container, or changes nothing when they run. report is called
	// from other goroutines.
	Watch(t ProbeTarget, report func(ProbeResult))
	// Forget ends the probes of a container.
	Forget(containerID string)
}

// ProbeTarget is one running container.
type ProbeTarget struct {
	Pod     *corev1.Pod
	Spec    *corev1.Container
	ID, IP  string
	Started time.Time
	// Adopted: it ran before this process; it keeps the verdicts its last status showed.
	WasStarted, WasReady bool
}

// Probe kinds.
const (
	Startup   = "Startup"
	Readiness = "Readiness"
	Liveness  = "Liveness"
)

// ProbeResult is a verdict that changed.
type ProbeResult struct {
	ID      string
	Kind    string
	Verdict state.Verdict
	Grace   *int64 // liveness and startup failures: the probe's own termination grace
}

// API writes to the server.
type API interface {
	// WriteStatus stores a status and returns the pod as stored; base is the newest pod known.
	WriteStatus(ctx context.Context, base *corev1.Pod, s corev1.PodStatus) (*corev1.Pod, error)
	// Forget deletes the pod for good; a pod that is gone or another of the name is no error.
	Forget(ctx context.Context, pod *corev1.Pod) error
}

// Recorder writes Events about a pod.
type Recorder interface {
	Event(pod *corev1.Pod, container, kind, reason, message string)
}

// Failure is an error that has upstream's word for a container's waiting reason.
type Failure struct {
	Reason, Message string
	// Event is the event's reason when it differs from "Failed".
	Event string
	Err   error
}

func (f *Failure) Error() string { return f.Reason + ": " + f.Message }
func (f *Failure) Unwrap() error { return f.Err }
