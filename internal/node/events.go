package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

// recorder writes Events about pods and their containers. It implements pod.Recorder.
type recorder struct{ *client.Recorder }

func newRecorder(_ context.Context, g *run.Group, n *Node) *recorder {
	r := &recorder{client.NewRecorder(n.cfg.Conn, "kubelet", n.cfg.Name, n.log)}
	g.Go("write events", r.Run)
	return r
}

// Event implements pod.Recorder; container may be empty.
func (r *recorder) Event(p *corev1.Pod, container, kind, reason, message string) {
	ref := corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion}
	if container != "" {
		ref.FieldPath = fieldPath(p, container)
	}
	r.EventRef(ref, kind, reason, "%s", message)
}

func fieldPath(p *corev1.Pod, container string) string {
	for _, c := range p.Spec.InitContainers {
		if c.Name == container {
			return "spec.initContainers{" + container + "}"
		}
	}
	for _, c := range p.Spec.EphemeralContainers {
		if c.Name == container {
			return "spec.ephemeralContainers{" + container + "}"
		}
	}
	return "spec.containers{" + container + "}"
}
