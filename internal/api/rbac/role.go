package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Role of the group rbac.
func Role() *api.Kind {
	return &api.Kind{
		Kind: "Role", Resource: "roles",
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[rbacv1.Role, rbacv1.RoleList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
		ValidateName:   path.ValidatePathSegmentName,
		Validate: kit.To(func(o *rbacv1.Role) field.ErrorList {
			errs := rules(o.Rules, true)
			return errs
		}),
		Columns: kit.CreatedAtColumns(),
		Cells:   kit.CreatedAtCells,
	}
}
