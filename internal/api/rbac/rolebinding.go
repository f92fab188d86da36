package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// RoleBinding of the group rbac.
func RoleBinding() *api.Kind {
	return &api.Kind{
		Kind: "RoleBinding", Resource: "rolebindings",
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[rbacv1.RoleBinding, rbacv1.RoleBindingList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
