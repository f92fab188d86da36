package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

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
		ValidateName:   path.ValidatePathSegmentName,
		Default:        kit.On(func(o *rbacv1.RoleBinding) { bindingDefault(&o.RoleRef, o.Subjects) }),
		Validate:       kit.To(func(o *rbacv1.RoleBinding) field.ErrorList { return binding(&o.RoleRef, o.Subjects, true) }),
		ValidateUpdate: kit.ToBoth(func(o, old *rbacv1.RoleBinding) field.ErrorList { return roleRefKept(o.RoleRef, old.RoleRef) }),
		Columns:        bindingColumns("roleBinding", rbacv1.RoleBinding{}.SwaggerDoc()["roleRef"]),
		Cells: kit.Cells(func(o *rbacv1.RoleBinding, now time.Time) []any {
			return append([]any{o.Name, o.RoleRef.Kind + "/" + o.RoleRef.Name, kit.Age(o, now)}, subjectCells(o.Subjects)...)
		}),
	}
}
