package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

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
	}
}
