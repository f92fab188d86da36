package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ClusterRoleBinding of the group rbac.
func ClusterRoleBinding() *api.Kind {
	return &api.Kind{
		Kind: "ClusterRoleBinding", Resource: "clusterrolebindings",
		Versions:       []api.Version{kit.Served[rbacv1.ClusterRoleBinding, rbacv1.ClusterRoleBindingList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
