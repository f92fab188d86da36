package scheduler

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// One decision with 1,000 nodes: read the pod, choose, remember. Nodes keep about 30 pods each.
func BenchmarkDecide1000Nodes(b *testing.B) {
	const nodes, kept = 1000, 30000
	s := cluster.New(func(string) labels.Set { return nil })
	for i := range nodes {
		room := corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
		}
		s.SetNode(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i), Labels: map[string]string{
				corev1.LabelHostname: fmt.Sprintf("n%d", i), corev1.LabelTopologyZone: fmt.Sprintf("z%d", i%3),
			}},
			Status: corev1.NodeStatus{Capacity: room, Allocatable: room},
		})
	}
	wants := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	var k picker
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := cluster.Compile(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "default", UID: uid(i), Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{Requests: wants}}}},
		})
		d := k.pick(s, p)
		if d.node == "" {
			b.Fatal(d.message())
		}
		s.Assign(p, d.node)
		if i >= kept {
			s.Remove(uid(i - kept))
		}
	}
}

func uid(i int) types.UID { return types.UID(fmt.Sprint("uid-", i)) }
