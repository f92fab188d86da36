package policy

import (
	policyv1 "k8s.io/api/policy/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PodDisruptionBudget of the group policy.
func PodDisruptionBudget() *api.Kind {
	halves := kit.Split(
		func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetSpec { return &o.Spec },
		func(o *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudgetStatus { return &o.Status })
	return &api.Kind{
		Kind: "PodDisruptionBudget", Resource: "poddisruptionbudgets",
		ShortNames:    []string{"pdb"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList](policyv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
