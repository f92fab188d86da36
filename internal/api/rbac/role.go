package rbac

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		Columns: []metav1.TableColumnDefinition{kit.NameColumn(), kit.Column("Created At", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])},
		Cells: kit.Cells(func(o *rbacv1.Role, _ time.Time) []any {
			return []any{o.Name, o.CreationTimestamp.UTC().Format(time.RFC3339)}
		}),
	}
}
