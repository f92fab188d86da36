package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// VolumeAttachment of the group storage.
func VolumeAttachment() *api.Kind {
	halves := kit.Split(
		func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentSpec { return &o.Spec },
		func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentStatus { return &o.Status })
	return &api.Kind{
		Kind: "VolumeAttachment", Resource: "volumeattachments",
		Versions:      []api.Version{kit.Served[storagev1.VolumeAttachment, storagev1.VolumeAttachmentList](storagev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Validate: kit.To(func(o *storagev1.VolumeAttachment) field.ErrorList {
			p := field.NewPath("spec")
			errs := check.Join(podspec.DriverName(p.Child("attacher"), o.Spec.Attacher), check.DNSSubdomain(p.Child("nodeName"), o.Spec.NodeName))
			switch s, sp := o.Spec.Source, p.Child("source"); {
			case s.InlineVolumeSpec == nil && (s.PersistentVolumeName == nil || *s.PersistentVolumeName == ""):
				errs = append(errs, field.Required(sp, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			case s.InlineVolumeSpec != nil && s.PersistentVolumeName != nil:
				errs = append(errs, field.Forbidden(sp, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *storagev1.VolumeAttachment) field.ErrorList {
			return check.Immutable(field.NewPath("spec"), o.Spec, old.Spec)
		}),
		Columns: kit.Columns(
			kit.Column("Attacher", storagev1.VolumeAttachmentSpec{}.SwaggerDoc()["attacher"]),
			kit.Column("PV", storagev1.VolumeAttachmentSource{}.SwaggerDoc()["persistentVolumeName"]),
			kit.Column("Node", storagev1.VolumeAttachmentSpec{}.SwaggerDoc()["nodeName"]),
			kit.Bool("Attached", storagev1.VolumeAttachmentStatus{}.SwaggerDoc()["attached"])),
		Cells: kit.Cells(func(o *storagev1.VolumeAttachment, now time.Time) []any {
			return []any{o.Name, o.Spec.Attacher, kit.Deref(o.Spec.Source.PersistentVolumeName, ""), o.Spec.NodeName, o.Status.Attached, kit.Age(o, now)}
		}),
	}
}
