package autoscaling

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/kit"
)

func hpaColumns() []metav1.TableColumnDefinition {
	spec := autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()
	return kit.Columns(
		kit.Column("Reference", spec["scaleTargetRef"]), kit.Column("Targets", spec["metrics"]), kit.Column("MinPods", spec["minReplicas"]),
		kit.Column("MaxPods", spec["maxReplicas"]), kit.Column("Replicas", autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()["currentReplicas"]))
}

func hpaCells(o *autoscalingv2.HorizontalPodAutoscaler, now time.Time) []any {
	least := "<unset>"
	if m := o.Spec.MinReplicas; m != nil {
		least = strconv.Itoa(int(*m))
	}
	return []any{o.Name, o.Spec.ScaleTargetRef.Kind + "/" + o.Spec.ScaleTargetRef.Name, targets(o), least,
		int64(o.Spec.MaxReplicas), int64(o.Status.CurrentReplicas), kit.Age(o, now)}
}

// targets is current/wanted of the first two metrics.
func targets(o *autoscalingv2.HorizontalPodAutoscaler) string {
	if len(o.Spec.Metrics) == 0 {
		return "<none>"
	}
	var list []string
	for i := range o.Spec.Metrics {
		var status autoscalingv2.MetricStatus
		if i < len(o.Status.CurrentMetrics) {
			status = o.Status.CurrentMetrics[i]
		}
		list = append(list, metricCell(&o.Spec.Metrics[i], &status))
	}
	if n := len(list); n > 2 {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:2], ", "), n-2)
	}
	return strings.Join(list, ", ")
}

func metricCell(m *autoscalingv2.MetricSpec, s *autoscalingv2.MetricStatus) string {
	switch {
	case m.External != nil:
		var current *autoscalingv2.MetricValueStatus
		if s.External != nil {
			current = &s.External.Current
		}
		return valueCell(&m.External.Target, current)
	case m.Object != nil:
		var current *autoscalingv2.MetricValueStatus
		if s.Object != nil {
			current = &s.Object.Current
		}
		return valueCell(&m.Object.Target, current)
	case m.Pods != nil:
		current := "<unknown>"
		if s.Pods != nil {
			current = quantity(s.Pods.Current.AverageValue)
		}
		return current + "/" + quantity(m.Pods.Target.AverageValue)
	case m.Resource != nil:
		var current *autoscalingv2.MetricValueStatus
		if s.Resource != nil {
			current = &s.Resource.Current
		}
		return string(m.Resource.Name) + ": " + resourceCell(&m.Resource.Target, current)
	case m.ContainerResource != nil:
		var current *autoscalingv2.MetricValueStatus
		if s.ContainerResource != nil {
			current = &s.ContainerResource.Current
		}
		return string(m.ContainerResource.Name) + ": " + resourceCell(&m.ContainerResource.Target, current)
	}
	return "<unknown type>"
}

func quantity(q *resource.Quantity) string {
	if q == nil {
		return "<unknown>"
	}
	return q.String()
}

func valueCell(t *autoscalingv2.MetricTarget, current *autoscalingv2.MetricValueStatus) string {
	if current == nil {
		current = &autoscalingv2.MetricValueStatus{}
	}
	if t.AverageValue != nil {
		return quantity(current.AverageValue) + "/" + t.AverageValue.String() + " (avg)"
	}
	return quantity(current.Value) + "/" + quantity(t.Value)
}

func resourceCell(t *autoscalingv2.MetricTarget, current *autoscalingv2.MetricValueStatus) string {
	if current == nil {
		current = &autoscalingv2.MetricValueStatus{}
	}
	if t.AverageValue != nil {
		return quantity(current.AverageValue) + "/" + t.AverageValue.String()
	}
	percent := func(v *int32, none string) string {
		if v == nil {
			return none
		}
		return fmt.Sprintf("%d%%", *v)
	}
	return percent(current.AverageUtilization, "<unknown>") + "/" + percent(t.AverageUtilization, "<auto>")
}
