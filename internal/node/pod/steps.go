package pod

import (
	"context"
)

// The verbs, in the order a pod's life brings them. Each is one file; each may be repeated after a crash.
const (
	Fail            Verb = "fail"             // refuse or end the pod for good
	PrepareVolumes  Verb = "prepare-volumes"  // directories, configuration, tokens
	CreateSandbox   Verb = "create-sandbox"   // namespaces, address, cgroup
	EnsureImage     Verb = "ensure-image"     // present, or pulled
	StartContainer  Verb = "start-container"  // config, create, start, post-start hook
	Resize          Verb = "resize"           // change the limits of what runs
	BackOff         Verb = "back-off"         // say that a restart has to wait
	RemoveContainer Verb = "remove-container" // an old attempt
	BeginKill       Verb = "begin-kill"       // remember when the end began
	PreStop         Verb = "pre-stop"         // the hook before the signal
	StopContainer   Verb = "stop-container"   // signal, grace, SIGKILL
	StopSandbox     Verb = "stop-sandbox"     // give back address and ports
	CleanUp         Verb = "clean-up"         // sandboxes, volumes, directories
	Forget          Verb = "forget"           // the API may forget the pod
)

type doer func(*Worker, context.Context, Step) error

// do finds the step for a verb.
func do(v Verb) doer {
	switch v {
	case Fail:
		return (*Worker).fail
	case PrepareVolumes:
		return (*Worker).prepareVolumes
	case CreateSandbox:
		return (*Worker).createSandbox
	case EnsureImage:
		return (*Worker).ensureImage
	case StartContainer:
		return (*Worker).startContainer
	case Resize:
		return (*Worker).resize
	case BackOff:
		return (*Worker).backOff
	case RemoveContainer:
		return (*Worker).removeContainer
	case BeginKill:
		return (*Worker).beginKill
	case PreStop:
		return (*Worker).preStop
	case StopContainer:
		return (*Worker).stopContainer
	case StopSandbox:
		return (*Worker).stopSandbox
	case CleanUp:
		return (*Worker).cleanUp
	case Forget:
		return (*Worker).forget
	}
	panic("pod: no such step: " + string(v))
}
