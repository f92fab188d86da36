package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/status"
	"github.com/dhow-project/dhow/internal/x/run"
)

// deps wires what pod workers need.
func (n *Node) deps(ctx context.Context, g *run.Group) pod.Deps {
	return pod.Deps{
		Engine:  n.cfg.Engine,
		Images:  newImages(n),
		Volumes: noVolumes{},
		Build:   &builder{n},
		Hooks:   noHooks{},
		Probes:  noProbes{},
		API:     newStatusAPI(n.cfg.Conn),
		Events:  newRecorder(ctx, g, n),
		Host:    n.host,
		Own:     n.pods.own,
		Log:     n.log,
	}
}

func (n *Node) host() status.Host {
	h := status.Host{Name: n.cfg.Name}
	for _, a := range n.cfg.Addresses {
		h.IPs = append(h.IPs, a.String())
	}
	return h
}

func (p *pods) admit(*corev1.Pod) (reason, message string) { return "", "" }

func (n *Node) sweepDirs([]*corev1.Pod) {}

type noVolumes struct{}

func (noVolumes) Prepare(context.Context, *corev1.Pod) error { return nil }
func (noVolumes) Update(*corev1.Pod)                         {}
func (noVolumes) Release(context.Context, *corev1.Pod) error { return nil }

type noHooks struct{}

func (noHooks) Run(context.Context, *corev1.Pod, *corev1.Container, string, string, *corev1.LifecycleHandler) error {
	return nil
}

type noProbes struct{}

func (noProbes) Watch(pod.ProbeTarget, func(pod.ProbeResult)) {}
func (noProbes) Forget(string)                                {}
