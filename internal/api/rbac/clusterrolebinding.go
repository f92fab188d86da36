package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ClusterRoleBinding of the group rbac.
func ClusterRoleBinding() *api.Kind {
	return &api.Kind{
		Kind: "ClusterRoleBinding", Resource: "clusterrolebindings",
		Versions:       []api.Version{kit.Served[rbacv1.ClusterRoleBinding, rbacv1.ClusterRoleBindingList](rbacv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
		ValidateName:   path.ValidatePathSegmentName,
		Default:        kit.On(func(o *rbacv1.ClusterRoleBinding) { bindingDefault(&o.RoleRef, o.Subjects) }),
		Validate:       kit.To(func(o *rbacv1.ClusterRoleBinding) field.ErrorList { return binding(&o.RoleRef, o.Subjects, false) }),
		ValidateUpdate: kit.ToBoth(func(o, old *rbacv1.ClusterRoleBinding) field.ErrorList { return roleRefKept(o.RoleRef, old.RoleRef) }),
		Columns:        bindingColumns("clusterRoleBinding", rbacv1.ClusterRoleBinding{}.SwaggerDoc()["roleRef"]),
		Cells: kit.Cells(func(o *rbacv1.ClusterRoleBinding, now time.Time) []any {
			return append([]any{o.Name, o.RoleRef.Kind + "/" + o.RoleRef.Name, kit.Age(o, now)}, subjectCells(o.Subjects)...)
		}),
	}
}
