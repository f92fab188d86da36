package podspec

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// PersistentSource checks that a persistent volume has one source, and that source; p is the spec's path.
func PersistentSource(p *field.Path, s *corev1.PersistentVolumeSpec) field.ErrorList {
	sources := []source{
		{"hostPath", s.HostPath != nil, func(p *field.Path) field.ErrorList { return HostPath(p, s.HostPath) }},
		{"nfs", s.NFS != nil, func(p *field.Path) field.ErrorList { return NFS(p, s.NFS) }},
		{"local", s.Local != nil, func(lp *field.Path) field.ErrorList {
			errs := check.Join(check.Present(lp.Child("path"), s.Local.Path), check.NoBacksteps(lp.Child("path"), s.Local.Path))
			if s.NodeAffinity == nil {
				errs = append(errs, field.Required(p.Child("nodeAffinity"), "Local volume requires node affinity"))
			}
			return errs
		}},
		{"csi", s.CSI != nil, func(p *field.Path) field.ErrorList { return persistentCSI(p, s.CSI) }},
		{"iscsi", s.ISCSI != nil, func(p *field.Path) field.ErrorList {
			return ISCSI(p, s.ISCSI.TargetPortal, s.ISCSI.IQN, s.ISCSI.Lun, s.ISCSI.InitiatorName)
		}},
		{"fc", s.FC != nil, func(p *field.Path) field.ErrorList { return FC(p, s.FC) }},
	}
	known := map[string]bool{"HostPath": true, "NFS": true, "Local": true, "CSI": true, "ISCSI": true, "FC": true}
	// The rest only lives on in the API.
	v := reflect.ValueOf(s.PersistentVolumeSource)
	for i := range v.NumField() {
		if f := v.Type().Field(i); !known[f.Name] && !v.Field(i).IsNil() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			sources = append(sources, source{name, true, nil})
		}
	}
	return checkSources(p, sources)
}

func persistentCSI(p *field.Path, c *corev1.CSIPersistentVolumeSource) field.ErrorList {
	errs := check.Join(DriverName(p.Child("driver"), c.Driver), check.Present(p.Child("volumeHandle"), c.VolumeHandle))
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", c.ControllerPublishSecretRef}, {"controllerExpandSecretRef", c.ControllerExpandSecretRef},
		{"nodePublishSecretRef", c.NodePublishSecretRef}, {"nodeExpandSecretRef", c.NodeExpandSecretRef}, {"nodeStageSecretRef", c.NodeStageSecretRef},
	} {
		if r.ref == nil {
			continue
		}
		rp := p.Child(r.name)
		errs = append(errs, check.Present(rp.Child("name"), r.ref.Name)...)
		errs = append(errs, check.Present(rp.Child("namespace"), r.ref.Namespace)...)
	}
	return errs
}
