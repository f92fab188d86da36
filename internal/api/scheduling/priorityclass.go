package scheduling

import (
	schedulingv1 "k8s.io/api/scheduling/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PriorityClass of the group scheduling.
func PriorityClass() *api.Kind {
	return &api.Kind{
		Kind: "PriorityClass", Resource: "priorityclasses",
		ShortNames:    []string{"pc"},
		Versions:      []api.Version{kit.Served[schedulingv1.PriorityClass, schedulingv1.PriorityClassList](schedulingv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
