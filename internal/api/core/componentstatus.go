package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ComponentStatus of the group core.
func ComponentStatus() *api.Kind {
	return &api.Kind{
		Kind: "ComponentStatus", Resource: "componentstatuses",
		ShortNames: []string{"cs"},
		Versions:   []api.Version{kit.Served[corev1.ComponentStatus, corev1.ComponentStatusList](corev1.SchemeGroupVersion)},
		Virtual:    true,
		Verbs:      []string{"get", "list"},
		Columns: []metav1.TableColumnDefinition{
			kit.NameColumn(),
			kit.Column("Status", "Status of the component conditions"),
			kit.Column("Message", "Message of the component conditions"),
			kit.Column("Error", "Error of the component conditions"),
		},
		Cells: kit.Cells(func(o *corev1.ComponentStatus, _ time.Time) []any {
			status, message, problem := "Unknown", "", ""
			for _, c := range o.Conditions {
				if c.Type == corev1.ComponentHealthy {
					status, message, problem = "Unhealthy", c.Message, c.Error
					if c.Status == corev1.ConditionTrue {
						status = "Healthy"
					}
				}
			}
			return []any{o.Name, status, message, problem}
		}),
	}
}
