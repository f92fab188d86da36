package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// hpaDefault: without metrics it holds 80 % of the requested cpu; without words on behaviour it
// grows fast (twice as many or four more in 15 s) and shrinks at once to what is needed.
func hpaDefault(o *autoscalingv2.HorizontalPodAutoscaler) {
	s := &o.Spec
	poddefault.Set(&s.MinReplicas, 1)
	if len(s.Metrics) == 0 {
		utilization := int32(80)
		s.Metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization},
			},
		}}
	}
	if s.Behavior == nil {
		return
	}
	whole := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}
	four := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15}
	poddefault.Set(&s.Behavior.ScaleUp, autoscalingv2.HPAScalingRules{})
	poddefault.Set(&s.Behavior.ScaleUp.StabilizationWindowSeconds, 0)
	rulesDefault(s.Behavior.ScaleUp, four, whole)
	poddefault.Set(&s.Behavior.ScaleDown, autoscalingv2.HPAScalingRules{})
	rulesDefault(s.Behavior.ScaleDown, whole)
}

func rulesDefault(r *autoscalingv2.HPAScalingRules, policies ...autoscalingv2.HPAScalingPolicy) {
	poddefault.Set(&r.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if r.Policies == nil {
		r.Policies = policies
	}
}
