package pod

import (
	"fmt"
	"hash/fnv"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// Labels and annotations on sandboxes and containers: after a crash they alone say what belongs to which pod.
const (
	LabelNamespace = "io.kubernetes.pod.namespace"
	LabelName      = "io.kubernetes.pod.name"
	LabelUID       = "io.kubernetes.pod.uid"
	LabelContainer = "io.kubernetes.container.name"
	AnnotationHash = "io.kubernetes.container.hash"
)

// SpecHash changes when a running container must be replaced: only its image may change (the API refuses the rest).
func SpecHash(c *corev1.Container) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s", c.Name, c.Image)
	return fmt.Sprintf("%08x", h.Sum32())
}

func changedMeta(a, b *corev1.Pod) bool {
	return !maps.Equal(a.Labels, b.Labels) || !maps.Equal(a.Annotations, b.Annotations)
}
