package poddefault

import corev1 "k8s.io/api/core/v1"

const fileMode int32 = 0o644

func volume(v *corev1.Volume) {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	switch {
	case v.HostPath != nil:
		Set(&v.HostPath.Type, corev1.HostPathUnset)
	case v.Secret != nil:
		Set(&v.Secret.DefaultMode, fileMode)
	case v.ConfigMap != nil:
		Set(&v.ConfigMap.DefaultMode, fileMode)
	case v.DownwardAPI != nil:
		Set(&v.DownwardAPI.DefaultMode, fileMode)
		downward(v.DownwardAPI.Items)
	case v.Projected != nil:
		Set(&v.Projected.DefaultMode, fileMode)
		for i := range v.Projected.Sources {
			if d := v.Projected.Sources[i].DownwardAPI; d != nil {
				downward(d.Items)
			}
			if t := v.Projected.Sources[i].ServiceAccountToken; t != nil {
				Set(&t.ExpirationSeconds, 3600)
			}
		}
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		Claim(&v.Ephemeral.VolumeClaimTemplate.Spec)
	case v.Image != nil:
		SetZero(&v.Image.PullPolicy, PullPolicy(v.Image.Reference))
	case v.ISCSI != nil:
		SetZero(&v.ISCSI.ISCSIInterface, "default")
	case v.RBD != nil:
		SetZero(&v.RBD.RBDPool, "rbd")
		SetZero(&v.RBD.RadosUser, "admin")
		SetZero(&v.RBD.Keyring, "/etc/ceph/keyring")
	case v.AzureDisk != nil:
		AzureDisk(v.AzureDisk)
	case v.ScaleIO != nil:
		SetZero(&v.ScaleIO.StorageMode, "ThinProvisioned")
		SetZero(&v.ScaleIO.FSType, "xfs")
	}
}

// AzureDisk is also a persistent volume's source.
func AzureDisk(d *corev1.AzureDiskVolumeSource) {
	Set(&d.CachingMode, corev1.AzureDataDiskCachingReadWrite)
	Set(&d.Kind, corev1.AzureSharedBlobDisk)
	Set(&d.FSType, "ext4")
	Set(&d.ReadOnly, false)
}

func downward(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		if f := items[i].FieldRef; f != nil {
			SetZero(&f.APIVersion, "v1")
		}
	}
}

// Claim is for claims and templates of claims.
func Claim(s *corev1.PersistentVolumeClaimSpec) {
	Set(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	Round(s.Resources.Limits)
	Round(s.Resources.Requests)
}
