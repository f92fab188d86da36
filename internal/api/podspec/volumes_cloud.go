package podspec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// cloud are the sources that only live on in the API: nobody mounts them without a CSI driver's help, but
// objects that have them are still valid.
func cloud(v *corev1.Volume) []source {
	return []source{
		{"gitRepo", v.GitRepo != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("repository"), v.GitRepo.Repository), check.DescendingPath(p.Child("directory"), v.GitRepo.Directory))
		})},
		{"gcePersistentDisk", v.GCEPersistentDisk != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("pdName"), v.GCEPersistentDisk.PDName), partition(p.Child("partition"), v.GCEPersistentDisk.Partition))
		})},
		{"awsElasticBlockStore", v.AWSElasticBlockStore != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("volumeID"), v.AWSElasticBlockStore.VolumeID), partition(p.Child("partition"), v.AWSElasticBlockStore.Partition))
		})},
		{"glusterfs", v.Glusterfs != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("endpoints"), v.Glusterfs.EndpointsName), check.Present(p.Child("path"), v.Glusterfs.Path))
		})},
		{"rbd", v.RBD != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(some(p.Child("monitors"), v.RBD.CephMonitors), check.Present(p.Child("image"), v.RBD.RBDImage))
		})},
		{"cephfs", v.CephFS != nil, (func(p *field.Path) field.ErrorList { return some(p.Child("monitors"), v.CephFS.Monitors) })},
		{"cinder", v.Cinder != nil, (func(p *field.Path) field.ErrorList { return check.Present(p.Child("volumeID"), v.Cinder.VolumeID) })},
		{"quobyte", v.Quobyte != nil, (func(p *field.Path) field.ErrorList { return check.Present(p.Child("volume"), v.Quobyte.Volume) })},
		{"flocker", v.Flocker != nil, nil},
		{"flexVolume", v.FlexVolume != nil, (func(p *field.Path) field.ErrorList { return check.Present(p.Child("driver"), v.FlexVolume.Driver) })},
		{"azureFile", v.AzureFile != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("secretName"), v.AzureFile.SecretName), check.Present(p.Child("shareName"), v.AzureFile.ShareName))
		})},
		{"azureDisk", v.AzureDisk != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("diskName"), v.AzureDisk.DiskName), check.Present(p.Child("diskURI"), v.AzureDisk.DataDiskURI))
		})},
		{"vsphereVolume", v.VsphereVolume != nil, (func(p *field.Path) field.ErrorList {
			return check.Present(p.Child("volumePath"), v.VsphereVolume.VolumePath)
		})},
		{"photonPersistentDisk", v.PhotonPersistentDisk != nil, (func(p *field.Path) field.ErrorList {
			return check.Present(p.Child("pdID"), v.PhotonPersistentDisk.PdID)
		})},
		{"portworxVolume", v.PortworxVolume != nil, (func(p *field.Path) field.ErrorList {
			return check.Present(p.Child("volumeID"), v.PortworxVolume.VolumeID)
		})},
		{"storageos", v.StorageOS != nil, (func(p *field.Path) field.ErrorList {
			return check.Present(p.Child("volumeName"), v.StorageOS.VolumeName)
		})},
		{"scaleIO", v.ScaleIO != nil, (func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("gateway"), v.ScaleIO.Gateway), check.Present(p.Child("system"), v.ScaleIO.System),
				check.Present(p.Child("volumeName"), v.ScaleIO.VolumeName))
		})},
	}
}

func some(p *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return check.One(field.Required(p, ""))
	}
	return nil
}

func partition(p *field.Path, n int32) field.ErrorList {
	if n < 0 || n > 255 {
		return check.One(field.Invalid(p, n, validation.InclusiveRangeError(1, 255)))
	}
	return nil
}

func inlineISCSI(p *field.Path, v *corev1.Volume) field.ErrorList {
	i := v.ISCSI
	errs := ISCSI(p, i.TargetPortal, i.IQN, i.Lun, i.InitiatorName)
	if (i.DiscoveryCHAPAuth || i.SessionCHAPAuth) && i.SecretRef == nil {
		errs = append(errs, field.Required(p.Child("secretRef"), ""))
	}
	return errs
}

// ISCSI checks what inline volumes and persistent volumes have in common.
func ISCSI(p *field.Path, portal, iqn string, lun int32, initiator *string) field.ErrorList {
	errs := check.Join(check.Present(p.Child("targetPortal"), portal), check.Present(p.Child("iqn"), iqn))
	if iqn != "" && !isIQN(iqn) {
		errs = append(errs, field.Invalid(p.Child("iqn"), iqn, "must be valid format starting with iqn, eui, or naa"))
	}
	if lun < 0 || lun > 255 {
		errs = append(errs, field.Invalid(p.Child("lun"), lun, validation.InclusiveRangeError(0, 255)))
	}
	if initiator != nil && !isIQN(*initiator) {
		errs = append(errs, field.Invalid(p.Child("initiatorname"), *initiator, "must be valid format starting with iqn, eui, or naa"))
	}
	return errs
}

func isIQN(s string) bool {
	return strings.HasPrefix(s, "iqn.") || strings.HasPrefix(s, "eui.") || strings.HasPrefix(s, "naa.")
}

// FC checks a fibre channel target.
func FC(p *field.Path, v *corev1.FCVolumeSource) field.ErrorList {
	var errs field.ErrorList
	switch {
	case len(v.TargetWWNs) == 0 && len(v.WWIDs) == 0:
		errs = append(errs, field.Required(p.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"))
	case len(v.TargetWWNs) > 0 && len(v.WWIDs) > 0:
		errs = append(errs, field.Invalid(p.Child("targetWWNs"), v.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
	}
	if len(v.TargetWWNs) > 0 {
		if v.Lun == nil {
			errs = append(errs, field.Required(p.Child("lun"), "lun is required if targetWWNs is specified"))
		} else if *v.Lun < 0 || *v.Lun > 255 {
			errs = append(errs, field.Invalid(p.Child("lun"), v.Lun, validation.InclusiveRangeError(0, 255)))
		}
	}
	return errs
}
