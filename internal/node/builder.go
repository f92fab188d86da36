package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/pod"
)

// builder makes engine configs from pods.
type builder struct{ n *Node }

func (b *builder) Sandbox(_ context.Context, p *corev1.Pod, attempt uint32) (engine.SandboxConfig, error) {
	return engine.SandboxConfig{
		Name: p.Name, Group: p.Namespace, UID: string(p.UID), Attempt: attempt,
		Labels:   podLabels(p),
		Hostname: p.Name,
		LogDir:   b.n.LogDir(p),
	}, nil
}

func podLabels(p *corev1.Pod) map[string]string {
	return map[string]string{pod.LabelNamespace: p.Namespace, pod.LabelName: p.Name, pod.LabelUID: string(p.UID)}
}

func (b *builder) Container(_ context.Context, r pod.ContainerRequest) (engine.ContainerConfig, error) {
	labels := podLabels(r.Pod)
	labels[pod.LabelContainer] = r.Spec.Name
	return engine.ContainerConfig{
		Name: r.Spec.Name, Attempt: r.Attempt, Image: r.Image, Command: r.Spec.Command, Args: r.Spec.Args,
		Labels:      labels,
		Annotations: map[string]string{pod.AnnotationHash: pod.SpecHash(r.Spec)},
		LogPath:     fmt.Sprintf("%s/%d.log", r.Spec.Name, r.Attempt),
	}, nil
}

func (b *builder) Message(*corev1.Pod, *corev1.Container, *engine.Container) string { return "" }
