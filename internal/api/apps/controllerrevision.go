package apps

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ControllerRevision of the group apps.
func ControllerRevision() *api.Kind {
	return &api.Kind{
		Kind: "ControllerRevision", Resource: "controllerrevisions",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[appsv1.ControllerRevision, appsv1.ControllerRevisionList](appsv1.SchemeGroupVersion)},
		Validate: kit.To(func(o *appsv1.ControllerRevision) field.ErrorList {
			errs := check.NonNegative(field.NewPath("revision"), o.Revision)
			if o.Data.Raw == nil && o.Data.Object == nil {
				errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *appsv1.ControllerRevision) field.ErrorList {
			return check.Immutable(field.NewPath("data"), o.Data, old.Data)
		}),
		Columns: kit.Columns(
			kit.Column("Controller", "Controller of the object"),
			kit.Column("Revision", appsv1.ControllerRevision{}.SwaggerDoc()["revision"])),
		Cells: kit.Cells(func(o *appsv1.ControllerRevision, now time.Time) []any {
			return []any{o.Name, controllerName(o), o.Revision, kit.Age(o, now)}
		}),
	}
}

func controllerName(o *appsv1.ControllerRevision) string {
	ref := metav1.GetControllerOf(o)
	if ref == nil {
		return "<none>"
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return ref.Name
	}
	return strings.ToLower(gv.WithKind(ref.Kind).GroupKind().String()) + "/" + ref.Name
}
