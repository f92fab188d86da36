package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ClusterRole of the group rbac.
func ClusterRole() *api.Kind {
	return &api.Kind{
		Kind: "ClusterRole", Resource: "clusterroles",
		Versions:       []api.Version{kit.Served[rbacv1.ClusterRole, rbacv1.ClusterRoleList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
