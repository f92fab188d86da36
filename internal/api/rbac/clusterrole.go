package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ClusterRole of the group rbac.
func ClusterRole() *api.Kind {
	return &api.Kind{
		Kind: "ClusterRole", Resource: "clusterroles",
		Versions:       []api.Version{kit.Served[rbacv1.ClusterRole, rbacv1.ClusterRoleList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
		ValidateName:   path.ValidatePathSegmentName,
		Validate: kit.To(func(o *rbacv1.ClusterRole) field.ErrorList {
			errs := rules(o.Rules, false)
			if o.AggregationRule != nil {
				p := field.NewPath("aggregationRule", "clusterRoleSelectors")
				if len(o.AggregationRule.ClusterRoleSelectors) == 0 {
					errs = append(errs, field.Required(p, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
				}
				for i := range o.AggregationRule.ClusterRoleSelectors {
					errs = append(errs, check.Selector(p.Index(i), &o.AggregationRule.ClusterRoleSelectors[i])...)
				}
			}
			return errs
		}),
		Columns: kit.CreatedAtColumns(),
		Cells:   kit.CreatedAtCells,
	}
}
