package podspec

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// AccessModes checks the modes of a volume or a claim.
func AccessModes(p *field.Path, modes []corev1.PersistentVolumeAccessMode) field.ErrorList {
	var errs field.ErrorList
	for _, m := range modes {
		errs = append(errs, check.Supported(p, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)...)
	}
	if slices.Contains(modes, corev1.ReadWriteOncePod) && slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadOnlyMany || m == corev1.ReadWriteMany || m == corev1.ReadWriteOnce
	}) {
		errs = append(errs, field.Forbidden(p, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ClaimSpec checks the spec of a PersistentVolumeClaim or of a template for one.
func ClaimSpec(p *field.Path, s *corev1.PersistentVolumeClaimSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(p.Child("accessModes"), "at least 1 access mode is required"))
	}
	errs = append(errs, check.Join(
		check.Selector(p.Child("selector"), s.Selector),
		AccessModes(p.Child("accessModes"), s.AccessModes))...)
	size, ok := s.Resources.Requests[corev1.ResourceStorage]
	if sp := p.Child("resources").Key(string(corev1.ResourceStorage)); !ok {
		errs = append(errs, field.Required(sp, ""))
	} else {
		errs = append(errs, check.Join(check.ResourceQuantity(sp, corev1.ResourceStorage, size), check.PositiveQuantity(sp, size))...)
	}
	for _, c := range []struct {
		name  string
		value *string
	}{{"storageClassName", s.StorageClassName}, {"volumeAttributesClassName", s.VolumeAttributesClassName}} {
		if c.value != nil && *c.value != "" {
			errs = append(errs, check.DNSSubdomain(p.Child(c.name), *c.value)...)
		}
	}
	errs = append(errs, check.OptionalOf(p.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	return append(errs, dataSource(p, s)...)
}

// dataSource checks what a claim is filled from. Both fields say the same, or only the newer one is set.
func dataSource(p *field.Path, s *corev1.PersistentVolumeClaimSpec) field.ErrorList {
	var errs field.ErrorList
	if d := s.DataSource; d != nil {
		errs = append(errs, reference(p.Child("dataSource"), d.Name, d.Kind, d.APIGroup)...)
	}
	if d := s.DataSourceRef; d != nil {
		errs = append(errs, reference(p.Child("dataSourceRef"), d.Name, d.Kind, d.APIGroup)...)
	}
	a, b := s.DataSource, s.DataSourceRef
	if b != nil && b.Namespace != nil && *b.Namespace != "" {
		if a != nil {
			errs = append(errs, field.Invalid(p.Child("dataSource"), a.Name, "may not be specified when dataSourceRef.namespace is specified"))
		}
		return errs
	}
	if a != nil && b != nil && (a.Name != b.Name || a.Kind != b.Kind || group(a.APIGroup) != group(b.APIGroup)) {
		errs = append(errs, field.Invalid(p, p.Child("dataSource").String(), "must match dataSourceRef"))
	}
	return errs
}

func group(g *string) string {
	if g == nil {
		return ""
	}
	return *g
}

func reference(p *field.Path, name, kind string, apiGroup *string) field.ErrorList {
	errs := check.Join(check.Present(p.Child("name"), name), check.Present(p.Child("kind"), kind))
	if group(apiGroup) == "" {
		if kind != "PersistentVolumeClaim" {
			errs = append(errs, field.Invalid(p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
		}
		return errs
	}
	return append(errs, check.DNSSubdomain(p.Child("apiGroup"), *apiGroup)...)
}

// Claims of devices (KEP-4381).

func (s *scope) checkClaims(p *field.Path) field.ErrorList {
	var errs field.ErrorList
	s.claims = map[string]bool{}
	for i, c := range s.spec.ResourceClaims {
		ip := p.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(ip.Child("name"), ""))
		case s.claims[c.Name]:
			errs = append(errs, field.Duplicate(ip.Child("name"), c.Name))
		default:
			errs = append(errs, check.DNSLabel(ip.Child("name"), c.Name)...)
			s.claims[c.Name] = true
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(ip, c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(ip, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		if n := c.ResourceClaimName; n != nil {
			errs = append(errs, check.DNSSubdomain(ip.Child("resourceClaimName"), *n)...)
		}
		if n := c.ResourceClaimTemplateName; n != nil {
			errs = append(errs, check.DNSSubdomain(ip.Child("resourceClaimTemplateName"), *n)...)
		}
	}
	return errs
}

func (s *scope) claimNames(p *field.Path, claims []corev1.ResourceClaim) field.ErrorList {
	var errs field.ErrorList
	whole, parts := map[string]bool{}, map[string]bool{} // of a claim: all requests, or single ones
	for i, c := range claims {
		ip := p.Index(i)
		if c.Name == "" {
			errs = append(errs, field.Required(ip, ""))
			continue
		}
		key := c.Name + "/" + c.Request
		switch {
		case whole[c.Name], c.Request == "" && parts[c.Name]:
			errs = append(errs, field.Duplicate(ip, c.Name))
		case c.Request != "" && parts[key]:
			errs = append(errs, field.Duplicate(ip, key))
		}
		if c.Request == "" {
			whole[c.Name] = true
		} else {
			errs = append(errs, check.DNSLabel(ip.Child("request"), c.Request)...)
			parts[c.Name], parts[key] = true, true
		}
		if !s.claims[c.Name] {
			e := field.NotFound(ip, c.Name)
			e.Detail = "must be one of the names in pod.spec.resourceClaims"
			if len(s.claims) == 0 {
				e.Detail += " which is empty"
			}
			errs = append(errs, e)
		}
	}
	return errs
}
