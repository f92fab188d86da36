package core

import (
	"path"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// PersistentVolume of the core group.
func PersistentVolume() *api.Kind {
	halves := kit.Split(
		func(o *corev1.PersistentVolume) *corev1.PersistentVolumeSpec { return &o.Spec },
		func(o *corev1.PersistentVolume) *corev1.PersistentVolumeStatus { return &o.Status })
	return &api.Kind{
		Kind: "PersistentVolume", Resource: "persistentvolumes",
		ShortNames: []string{"pv"},
		Versions:   []api.Version{kit.Served[corev1.PersistentVolume, corev1.PersistentVolumeList](corev1.SchemeGroupVersion)},
		Default:    kit.On(volumeDefault),
		PrepareCreate: kit.On(func(o *corev1.PersistentVolume) {
			o.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending, LastPhaseTransitionTime: &metav1.Time{Time: time.Now()}}
		}),
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(volumeValidate),
		ValidateUpdate: kit.ToBoth(volumeValidateUpdate),
		Subresources: []api.Subresource{{Name: "status", Verbs: kit.ReadWrite, Prepare: func(obj, old api.Object) {
			halves.KeepSpec(obj, old)
			o, was := obj.(*corev1.PersistentVolume), old.(*corev1.PersistentVolume)
			if o.Status.Phase != was.Status.Phase {
				o.Status.LastPhaseTransitionTime = &metav1.Time{Time: time.Now()}
			} else if o.Status.LastPhaseTransitionTime == nil {
				o.Status.LastPhaseTransitionTime = was.Status.LastPhaseTransitionTime
			}
		}}},
		Columns: volumeColumns(),
		Cells:   kit.Cells(volumeCells),
	}
}

func volumeDefault(o *corev1.PersistentVolume) {
	poddefault.SetZero(&o.Status.Phase, corev1.VolumePending)
	poddefault.SetZero(&o.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	poddefault.Set(&o.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	poddefault.Round(o.Spec.Capacity)
	switch s := &o.Spec; {
	case s.HostPath != nil:
		poddefault.Set(&s.HostPath.Type, corev1.HostPathUnset)
	case s.ISCSI != nil:
		poddefault.SetZero(&s.ISCSI.ISCSIInterface, "default")
	case s.RBD != nil:
		poddefault.SetZero(&s.RBD.RBDPool, "rbd")
		poddefault.SetZero(&s.RBD.RadosUser, "admin")
		poddefault.SetZero(&s.RBD.Keyring, "/etc/ceph/keyring")
	case s.AzureDisk != nil:
		poddefault.AzureDisk(s.AzureDisk)
	case s.ScaleIO != nil:
		poddefault.SetZero(&s.ScaleIO.StorageMode, "ThinProvisioned")
		poddefault.SetZero(&s.ScaleIO.FSType, "xfs")
	}
}

func volumeValidate(o *corev1.PersistentVolume) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(p.Child("accessModes"), ""))
	}
	errs = append(errs, podspec.AccessModes(p.Child("accessModes"), s.AccessModes)...)
	if len(s.Capacity) == 0 {
		errs = append(errs, field.Required(p.Child("capacity"), ""))
	}
	if _, ok := s.Capacity[corev1.ResourceStorage]; !ok || len(s.Capacity) > 1 {
		errs = append(errs, field.NotSupported(p.Child("capacity"), s.Capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for n, q := range s.Capacity {
		errs = append(errs, check.PositiveQuantity(p.Child("capacity").Key(string(n)), q)...)
	}
	if r := s.PersistentVolumeReclaimPolicy; r != "" {
		errs = append(errs, check.Supported(p.Child("persistentVolumeReclaimPolicy"), r, corev1.PersistentVolumeReclaimDelete,
			corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
		if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && r == corev1.PersistentVolumeReclaimRecycle {
			errs = append(errs, field.Forbidden(p.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
		}
	}
	if a := s.NodeAffinity; a != nil {
		if a.Required == nil {
			errs = append(errs, field.Required(p.Child("nodeAffinity", "required"), "must specify required node constraints"))
		} else {
			errs = append(errs, podspec.NodeSelector(p.Child("nodeAffinity", "required"), a.Required)...)
		}
	}
	if s.StorageClassName != "" {
		errs = append(errs, check.DNSSubdomain(p.Child("storageClassName"), s.StorageClassName)...)
	}
	if c := s.VolumeAttributesClassName; c != nil {
		if *c == "" {
			errs = append(errs, field.Required(p.Child("volumeAttributesClassName"), "an empty string is disallowed"))
		} else {
			errs = append(errs, check.DNSSubdomain(p.Child("volumeAttributesClassName"), *c)...)
		}
		if s.CSI == nil {
			errs = append(errs, field.Required(p.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	errs = append(errs, check.OptionalOf(p.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	return append(errs, podspec.PersistentSource(p, s)...)
}

func volumeValidateUpdate(o, old *corev1.PersistentVolume) field.ErrorList {
	now, was := o.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource
	if was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil && now.CSI != nil && now.CSI.ControllerExpandSecretRef != nil {
		csi := *now.CSI
		csi.ControllerExpandSecretRef = nil
		now.CSI = &csi
	}
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+check.Diff(was, now)))
	}
	errs = append(errs, check.Immutable(field.NewPath("volumeMode"), o.Spec.VolumeMode, old.Spec.VolumeMode)...)
	if old.Spec.NodeAffinity != nil {
		errs = append(errs, check.Immutable(field.NewPath("nodeAffinity"), o.Spec.NodeAffinity, old.Spec.NodeAffinity)...)
	}
	if old.Spec.VolumeAttributesClassName != nil && o.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

func volumeColumns() []metav1.TableColumnDefinition {
	spec, status := corev1.PersistentVolumeSpec{}.SwaggerDoc(), corev1.PersistentVolumeStatus{}.SwaggerDoc()
	return append(kit.Columns(
		kit.Column("Capacity", spec["capacity"]), kit.Column("Access Modes", spec["accessModes"]),
		kit.Column("Reclaim Policy", spec["persistentVolumeReclaimPolicy"]), kit.Column("Status", status["phase"]),
		kit.Column("Claim", spec["claimRef"]), kit.Column("StorageClass", "StorageClass of the pv"),
		kit.Column("VolumeAttributesClass", "VolumeAttributesClass of the pv"), kit.Column("Reason", status["reason"]),
	), kit.Wide(kit.Column("VolumeMode", spec["volumeMode"]))...)
}

func volumeCells(o *corev1.PersistentVolume, now time.Time) []any {
	phase, claim := string(o.Status.Phase), ""
	if o.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	if r := o.Spec.ClaimRef; r != nil {
		claim = r.Namespace + "/" + r.Name
	}
	size := o.Spec.Capacity[corev1.ResourceStorage]
	class := o.Spec.StorageClassName
	if c, ok := o.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		class = c
	}
	return []any{o.Name, size.String(), accessModes(o.Spec.AccessModes), string(o.Spec.PersistentVolumeReclaimPolicy), phase, claim, class,
		kit.Deref(o.Spec.VolumeAttributesClassName, "<unset>"), o.Status.Reason, kit.Age(o, now), string(kit.Deref(o.Spec.VolumeMode, "<unset>"))}
}
