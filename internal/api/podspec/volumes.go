package podspec

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// checkVolumes also fills s.volumes: mounts are checked against the valid ones.
func (s *scope) checkVolumes(p *field.Path) field.ErrorList {
	var errs field.ErrorList
	s.volumes = make(map[string]*corev1.VolumeSource, len(s.spec.Volumes))
	created := map[string]bool{} // claims that this pod's ephemeral volumes make
	if s.meta != nil && s.meta.Name != "" {
		for i := range s.spec.Volumes {
			if v := &s.spec.Volumes[i]; v.Ephemeral != nil {
				created[s.meta.Name+"-"+v.Name] = true
			}
		}
	}
	for i := range s.spec.Volumes {
		v, ip := &s.spec.Volumes[i], p.Index(i)
		es := s.volume(ip, v)
		if v.Name == "" {
			es = append(es, field.Required(ip.Child("name"), ""))
		} else {
			es = append(es, check.DNSLabel(ip.Child("name"), v.Name)...)
		}
		if s.volumes[v.Name] != nil {
			es = append(es, field.Duplicate(ip.Child("name"), v.Name))
		}
		if len(es) == 0 {
			s.volumes[v.Name] = &v.VolumeSource
		}
		errs = append(errs, es...)
		if c := v.PersistentVolumeClaim; c != nil && created[c.ClaimName] {
			errs = append(errs, field.Invalid(ip.Child("persistentVolumeClaim", "claimName"), c.ClaimName,
				"must not reference a PVC that gets created for an ephemeral volume"))
		}
	}
	return errs
}

// source is one type of volume source.
type source struct {
	name  string
	set   bool
	check func(*field.Path) field.ErrorList
}

// Sources checks that exactly one is set and valid.
func checkSources(p *field.Path, sources []source) field.ErrorList {
	var errs field.ErrorList
	found := false
	for _, v := range sources {
		switch {
		case !v.set:
		case found:
			errs = append(errs, field.Forbidden(p.Child(v.name), "may not specify more than 1 volume type"))
		default:
			found = true
			if v.check != nil {
				errs = append(errs, v.check(p.Child(v.name))...)
			}
		}
	}
	if !found {
		errs = append(errs, field.Required(p, "must specify a volume type"))
	}
	return errs
}

func (s *scope) volume(p *field.Path, v *corev1.Volume) field.ErrorList {
	return checkSources(p, append([]source{
		{"emptyDir", v.EmptyDir != nil, func(p *field.Path) field.ErrorList { return emptyDir(p, v.EmptyDir) }},
		{"hostPath", v.HostPath != nil, func(p *field.Path) field.ErrorList { return HostPath(p, v.HostPath) }},
		{"secret", v.Secret != nil, func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("secretName"), v.Secret.SecretName),
				check.Mode(p.Child("defaultMode"), v.Secret.DefaultMode), keysToPaths(p.Child("items"), v.Secret.Items))
		}},
		{"configMap", v.ConfigMap != nil, func(p *field.Path) field.ErrorList {
			return check.Join(check.Present(p.Child("name"), v.ConfigMap.Name),
				check.Mode(p.Child("defaultMode"), v.ConfigMap.DefaultMode), keysToPaths(p.Child("items"), v.ConfigMap.Items))
		}},
		{"downwardAPI", v.DownwardAPI != nil, func(p *field.Path) field.ErrorList {
			errs := check.Mode(p.Child("defaultMode"), v.DownwardAPI.DefaultMode)
			for i := range v.DownwardAPI.Items {
				errs = append(errs, downwardFile(p, &v.DownwardAPI.Items[i])...)
			}
			return errs
		}},
		{"projected", v.Projected != nil, func(p *field.Path) field.ErrorList { return s.projected(p, v.Projected) }},
		{"persistentVolumeClaim", v.PersistentVolumeClaim != nil, func(p *field.Path) field.ErrorList {
			return check.Present(p.Child("claimName"), v.PersistentVolumeClaim.ClaimName)
		}},
		{"ephemeral", v.Ephemeral != nil, func(ep *field.Path) field.ErrorList { return s.ephemeral(p, ep, v) }},
		{"image", v.Image != nil, func(p *field.Path) field.ErrorList { return s.image(p, v.Image) }},
		{"nfs", v.NFS != nil, func(p *field.Path) field.ErrorList { return NFS(p, v.NFS) }},
		{"csi", v.CSI != nil, func(p *field.Path) field.ErrorList { return inlineCSI(p, v.CSI) }},
		{"iscsi", v.ISCSI != nil, func(p *field.Path) field.ErrorList { return inlineISCSI(p, v) }},
		{"fc", v.FC != nil, func(p *field.Path) field.ErrorList { return FC(p, v.FC) }},
	}, cloud(v)...))
}

func emptyDir(p *field.Path, v *corev1.EmptyDirVolumeSource) field.ErrorList {
	if v.SizeLimit != nil && v.SizeLimit.Sign() < 0 {
		return check.One(field.Forbidden(p.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
	}
	return nil
}

// HostPath checks a path on the node.
func HostPath(p *field.Path, v *corev1.HostPathVolumeSource) field.ErrorList {
	if v.Path == "" {
		return check.One(field.Required(p.Child("path"), ""))
	}
	return check.Join(check.NoBacksteps(p.Child("path"), v.Path), check.OptionalOf(p.Child("type"), v.Type,
		corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory,
		corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket))
}

// NFS checks an NFS export.
func NFS(p *field.Path, v *corev1.NFSVolumeSource) field.ErrorList {
	errs := check.Join(check.Present(p.Child("server"), v.Server), check.Present(p.Child("path"), v.Path))
	if !path.IsAbs(v.Path) {
		errs = append(errs, field.Invalid(p.Child("path"), v.Path, "must be an absolute path"))
	}
	return errs
}

func keysToPaths(p *field.Path, items []corev1.KeyToPath) field.ErrorList {
	var errs field.ErrorList
	for i, k := range items {
		ip := p.Index(i)
		errs = append(errs, check.Join(
			check.Present(ip.Child("key"), k.Key), check.Present(ip.Child("path"), k.Path),
			check.VolumePath(ip.Child("path"), k.Path), check.Mode(ip.Child("mode"), k.Mode))...)
	}
	return errs
}

func downwardFile(p *field.Path, f *corev1.DownwardAPIVolumeFile) field.ErrorList {
	errs := check.Join(check.Present(p.Child("path"), f.Path), check.VolumePath(p.Child("path"), f.Path))
	switch {
	case f.FieldRef != nil:
		errs = append(errs, fieldRef(p.Child("fieldRef"), f.FieldRef, volumeFields())...)
		if f.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case f.ResourceFieldRef != nil:
		errs = append(errs, resourceRef(p.Child("resourceFieldRef"), f.ResourceFieldRef, true)...)
	default:
		errs = append(errs, field.Required(p, "one of fieldRef and resourceFieldRef is required"))
	}
	return append(errs, check.Mode(p.Child("mode"), f.Mode)...)
}

// ephemeral checks a claim template; p is the volume's path, ep the source's.
func (s *scope) ephemeral(p, ep *field.Path, v *corev1.Volume) field.ErrorList {
	t := v.Ephemeral.VolumeClaimTemplate
	if t == nil {
		return check.One(field.Required(ep.Child("volumeClaimTemplate"), ""))
	}
	tp := ep.Child("volumeClaimTemplate")
	errs := check.Join(check.TemplateMeta(tp.Child("metadata"), &t.ObjectMeta), ClaimSpec(tp.Child("spec"), &t.Spec))
	if s.meta != nil && s.meta.Name != "" && v.Name != "" {
		name := s.meta.Name + "-" + v.Name
		for _, m := range validation.IsDNS1123Subdomain(name) {
			errs = append(errs, field.Invalid(p.Child("name"), v.Name, fmt.Sprintf("PVC name %q: %v", name, m)))
		}
	}
	return errs
}

func (s *scope) image(p *field.Path, v *corev1.ImageVolumeSource) field.ErrorList {
	var errs field.ErrorList
	// In a template the reference may be filled in by a controller (KEP-4639).
	if s.meta != nil {
		errs = check.Present(p.Child("reference"), v.Reference)
	}
	return append(errs, check.OneOf(p.Child("pullPolicy"), v.PullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
}

func inlineCSI(p *field.Path, v *corev1.CSIVolumeSource) field.ErrorList {
	errs := DriverName(p.Child("driver"), v.Driver)
	if r := v.NodePublishSecretRef; r != nil {
		if r.Name == "" {
			errs = append(errs, field.Required(p.Child("nodePublishSecretRef", "name"), ""))
		} else {
			errs = append(errs, check.DNSSubdomain(p.Child("name"), r.Name)...)
		}
	}
	return errs
}

// DriverName checks the name of a CSI driver.
func DriverName(p *field.Path, name string) field.ErrorList {
	errs := check.Present(p, name)
	if len(name) > 63 {
		errs = append(errs, field.TooLong(p, name, 63))
	}
	return append(errs, check.Invalid(p, name, validation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}
