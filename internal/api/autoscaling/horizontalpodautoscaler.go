package autoscaling

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/validation/path"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// HorizontalPodAutoscaler of the group autoscaling, kept as v2.
func HorizontalPodAutoscaler() *api.Kind {
	halves := kit.Split(
		func(o *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerSpec {
			return &o.Spec
		},
		func(o *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerStatus {
			return &o.Status
		})
	v1 := kit.Served[autoscalingv1.HorizontalPodAutoscaler, autoscalingv1.HorizontalPodAutoscalerList](autoscalingv1.SchemeGroupVersion)
	v1.FromHub, v1.ToHub = hpaToV1, hpaFromV1
	return &api.Kind{
		Kind: "HorizontalPodAutoscaler", Resource: "horizontalpodautoscalers",
		ShortNames: []string{"hpa"},
		Categories: []string{"all"},
		Namespaced: true,
		Versions: []api.Version{
			kit.Served[autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerList](autoscalingv2.SchemeGroupVersion),
			v1,
		},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources:  []api.Subresource{halves.StatusSub()},
		Default:       kit.On(hpaDefault),
		Validate:      kit.To(hpaValidate),
		ValidateName:  path.ValidatePathSegmentName,
		Columns:       hpaColumns(),
		Cells:         kit.Cells(hpaCells),
	}
}
