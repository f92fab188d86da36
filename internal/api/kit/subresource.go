package kit

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// The verbs subresources are served with. Never changed.
var (
	ReadWrite  = []string{"get", "patch", "update"}
	CreateOnly = []string{"create"}
	Connect    = []string{"create", "get"}
	Proxy      = []string{"create", "delete", "get", "patch", "update"}
)

// Body is a pointer to the kind that a subresource's request and answer have.
func Body(group, version, kind string) *schema.GroupVersionKind {
	return &schema.GroupVersionKind{Group: group, Version: version, Kind: kind}
}

// ScaleSub is the scale subresource of a kind: replicas points at spec.replicas, status answers
// status.replicas and the selector.
func ScaleSub[T any, P Ptr[T]](replicas func(P) **int32, status func(P) (int32, *metav1.LabelSelector)) api.Subresource {
	return api.Subresource{
		Name: "scale", Verbs: ReadWrite, Body: Body("autoscaling", "v1", "Scale"),
		Scale: &api.Scale{
			Get: func(o api.Object) *autoscalingv1.Scale {
				s := &autoscalingv1.Scale{}
				if r := *replicas(o.(P)); r != nil {
					s.Spec.Replicas = *r
				}
				n, sel := status(o.(P))
				s.Status.Replicas = n
				// A selector that does not parse was refused at creation.
				if parsed, err := metav1.LabelSelectorAsSelector(sel); err == nil && sel != nil {
					s.Status.Selector = parsed.String()
				}
				return s
			},
			Set: func(o api.Object, n int32) { *replicas(o.(P)) = &n },
		},
	}
}
