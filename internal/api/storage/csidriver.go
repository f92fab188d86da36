package storage

import (
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// CSIDriver of the group storage.
func CSIDriver() *api.Kind {
	return &api.Kind{
		Kind: "CSIDriver", Resource: "csidrivers",
		Versions:      []api.Version{kit.Served[storagev1.CSIDriver, storagev1.CSIDriverList](storagev1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *storagev1.CSIDriver) {
			s := &o.Spec
			poddefault.Set(&s.AttachRequired, true)
			poddefault.Set(&s.PodInfoOnMount, false)
			poddefault.Set(&s.StorageCapacity, false)
			poddefault.Set(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
			poddefault.Set(&s.RequiresRepublish, false)
			poddefault.Set(&s.SELinuxMount, false)
			if len(s.VolumeLifecycleModes) == 0 {
				s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
			}
		}),
		Validate: kit.To(func(o *storagev1.CSIDriver) field.ErrorList {
			p := field.NewPath("spec")
			errs := podspec.DriverName(field.NewPath("metadata", "name"), o.Name)
			for _, b := range []struct {
				name string
				v    *bool
			}{{"attachedRequired", o.Spec.AttachRequired}, {"podInfoOnMount", o.Spec.PodInfoOnMount}, {"storageCapacity", o.Spec.StorageCapacity}} {
				if b.v == nil {
					errs = append(errs, field.Required(p.Child(b.name), ""))
				}
			}
			errs = append(errs, check.OptionalOf(p.Child("fsGroupPolicy"), o.Spec.FSGroupPolicy,
				storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)...)
			for _, m := range o.Spec.VolumeLifecycleModes {
				errs = append(errs, check.Supported(p.Child("volumeLifecycleModes"), m, storagev1.VolumeLifecycleEphemeral, storagev1.VolumeLifecyclePersistent)...)
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *storagev1.CSIDriver) field.ErrorList {
			p := field.NewPath("spec")
			return check.Join(check.Immutable(p.Child("attachedRequired"), o.Spec.AttachRequired, old.Spec.AttachRequired),
				check.Immutable(p.Child("volumeLifecycleModes"), o.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes))
		}),
		Columns: driverColumns(),
		Cells: kit.Cells(func(o *storagev1.CSIDriver, now time.Time) []any {
			s := &o.Spec
			var modes, audiences []string
			for _, m := range s.VolumeLifecycleModes {
				modes = append(modes, string(m))
			}
			tokens := "<unset>"
			if s.TokenRequests != nil {
				for _, t := range s.TokenRequests {
					audiences = append(audiences, t.Audience)
				}
				tokens = strings.Join(audiences, ",")
			}
			return []any{o.Name, kit.Deref(s.AttachRequired, true), kit.Deref(s.PodInfoOnMount, false), kit.Deref(s.StorageCapacity, false),
				tokens, kit.Deref(s.RequiresRepublish, false), kit.Or(strings.Join(modes, ","), "<none>"), kit.Age(o, now)}
		}),
	}
}

func driverColumns() []metav1.TableColumnDefinition {
	d := storagev1.CSIDriverSpec{}.SwaggerDoc()
	return kit.Columns(
		kit.Bool("AttachRequired", d["attachRequired"]), kit.Bool("PodInfoOnMount", d["podInfoOnMount"]), kit.Bool("StorageCapacity", d["storageCapacity"]),
		kit.Column("TokenRequests", d["tokenRequests"]), kit.Bool("RequiresRepublish", d["requiresRepublish"]), kit.Column("Modes", d["volumeLifecycleModes"]))
}
