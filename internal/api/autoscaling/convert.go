package autoscaling

import (
	"encoding/json"
	"maps"
	"slices"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
)

// What v1 has no fields for travels in these annotations.
const (
	metricsAnnotation    = "autoscaling.alpha.kubernetes.io/metrics"
	statusesAnnotation   = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsAnnotation = "autoscaling.alpha.kubernetes.io/conditions"
	behaviorAnnotation   = "autoscaling.alpha.kubernetes.io/behavior"
)

// hpaToV1 keeps one cpu target in its field, the rest in annotations. It shares nothing with its argument.
func hpaToV1(o api.Object) (api.Object, error) {
	in := o.(*autoscalingv2.HorizontalPodAutoscaler).DeepCopy()
	out := &autoscalingv1.HorizontalPodAutoscaler{
		TypeMeta: in.TypeMeta, ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas,
			MaxReplicas:    in.Spec.MaxReplicas,
		},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration,
			LastScaleTime:      in.Status.LastScaleTime,
			CurrentReplicas:    in.Status.CurrentReplicas,
			DesiredReplicas:    in.Status.DesiredReplicas,
		},
	}
	metrics := in.Spec.Metrics
	if i := slices.IndexFunc(metrics, isCPU); i >= 0 {
		out.Spec.TargetCPUUtilizationPercentage = metrics[i].Resource.Target.AverageUtilization
		metrics = slices.Delete(metrics, i, i+1)
	}
	statuses := in.Status.CurrentMetrics
	if i := slices.IndexFunc(statuses, func(s autoscalingv2.MetricStatus) bool {
		return s.Resource != nil && s.Resource.Name == corev1.ResourceCPU && s.Resource.Current.AverageUtilization != nil
	}); i >= 0 {
		out.Status.CurrentCPUUtilizationPercentage = statuses[i].Resource.Current.AverageUtilization
	}
	annotations := map[string]string{}
	for _, a := range []struct {
		key   string
		value any
		empty bool
	}{
		{metricsAnnotation, metrics, len(metrics) == 0}, {statusesAnnotation, statuses, len(statuses) == 0},
		{conditionsAnnotation, in.Status.Conditions, len(in.Status.Conditions) == 0}, {behaviorAnnotation, in.Spec.Behavior, in.Spec.Behavior == nil},
	} {
		if a.empty {
			continue
		}
		b, err := json.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		annotations[a.key] = string(b)
	}
	if len(annotations) > 0 {
		maps.Copy(annotations, without(in.Annotations))
		out.Annotations = annotations
	}
	return out, nil
}

func hpaFromV1(o api.Object) (api.Object, error) {
	in := o.(*autoscalingv1.HorizontalPodAutoscaler).DeepCopy()
	out := &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: in.TypeMeta, ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas,
			MaxReplicas:    in.Spec.MaxReplicas,
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration,
			LastScaleTime:      in.Status.LastScaleTime,
			CurrentReplicas:    in.Status.CurrentReplicas,
			DesiredReplicas:    in.Status.DesiredReplicas,
		},
	}
	for _, a := range []struct {
		key string
		to  any
	}{
		{metricsAnnotation, &out.Spec.Metrics}, {statusesAnnotation, &out.Status.CurrentMetrics},
		{conditionsAnnotation, &out.Status.Conditions}, {behaviorAnnotation, &out.Spec.Behavior},
	} {
		// People can write anything into annotations; what does not parse is as good as absent.
		if v, ok := in.Annotations[a.key]; ok {
			_ = json.Unmarshal([]byte(v), a.to)
		}
	}
	out.Annotations = without(in.Annotations)
	if p := in.Spec.TargetCPUUtilizationPercentage; p != nil {
		out.Spec.Metrics = append([]autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: p},
			},
		}}, out.Spec.Metrics...)
	}
	return out, nil
}

// without is annotations without ours; nil when nothing is left.
func without(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range annotations {
		switch k {
		case metricsAnnotation, statusesAnnotation, conditionsAnnotation, behaviorAnnotation:
		default:
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func isCPU(m autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil &&
		m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageUtilization != nil
}
