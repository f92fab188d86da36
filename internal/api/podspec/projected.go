package podspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func (s *scope) projected(p *field.Path, v *corev1.ProjectedVolumeSource) field.ErrorList {
	errs := check.Mode(p.Child("defaultMode"), v.DefaultMode)
	seen := map[string]bool{}
	unique := func(file string, value any) {
		if file == "" {
			return
		}
		if seen[file] {
			errs = append(errs, field.Invalid(p, value, "conflicting duplicate paths"))
		}
		seen[file] = true
	}
	for i := range v.Sources {
		src, ip := &v.Sources[i], p.Child("sources").Index(i)
		n := 0
		if src.Secret != nil {
			n++
			errs = append(errs, keysSource(ip.Child("secret"), src.Secret.Name, src.Secret.Items)...)
			for _, k := range src.Secret.Items {
				unique(k.Path, src.Secret.Name)
			}
		}
		if src.ConfigMap != nil {
			n++
			errs = append(errs, keysSource(ip.Child("configMap"), src.ConfigMap.Name, src.ConfigMap.Items)...)
			for _, k := range src.ConfigMap.Items {
				unique(k.Path, src.ConfigMap.Name)
			}
		}
		if src.DownwardAPI != nil {
			n++
			for j := range src.DownwardAPI.Items {
				f := &src.DownwardAPI.Items[j]
				errs = append(errs, downwardFile(ip.Child("downwardAPI"), f)...)
				unique(f.Path, f.Path)
			}
		}
		if src.ServiceAccountToken != nil {
			n++
			errs = append(errs, tokenSource(p, ip.Child("serviceAccountToken"), src.ServiceAccountToken)...)
		}
		if src.ClusterTrustBundle != nil {
			n++
			errs = append(errs, trustSource(ip.Child("clusterTrustBundle"), src.ClusterTrustBundle)...)
			unique(src.ClusterTrustBundle.Path, src.ClusterTrustBundle.Path)
		}
		if src.PodCertificate != nil {
			n++
			errs = append(errs, certificateSource(ip.Child("podCertificate"), src.PodCertificate)...)
			for _, f := range []string{src.PodCertificate.CredentialBundlePath, src.PodCertificate.KeyPath, src.PodCertificate.CertificateChainPath} {
				unique(f, f)
			}
		}
		if n > 1 {
			errs = append(errs, field.Forbidden(ip, "may not specify more than 1 volume type per source"))
		}
	}
	return errs
}

func keysSource(p *field.Path, name string, items []corev1.KeyToPath) field.ErrorList {
	return check.Join(check.Present(p.Child("name"), name), keysToPaths(p.Child("items"), items))
}

// tokenSource: p is the volume's path, tp the source's.
func tokenSource(p, tp *field.Path, t *corev1.ServiceAccountTokenProjection) field.ErrorList {
	var errs field.ErrorList
	if e := t.ExpirationSeconds; e != nil && *e < 600 {
		errs = append(errs, field.Invalid(tp.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
	} else if e != nil && *e > 1<<32 {
		errs = append(errs, field.Invalid(tp.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
	}
	if t.Path == "" {
		return append(errs, field.Required(p.Child("path"), ""))
	}
	return append(errs, check.VolumePath(p.Child("path"), t.Path)...)
}

func trustSource(p *field.Path, t *corev1.ClusterTrustBundleProjection) field.ErrorList {
	var errs field.ErrorList
	switch {
	case t.Name != nil && t.SignerName != nil:
		errs = append(errs, field.Invalid(p, t, "only one of name and signerName may be used"))
	case t.Name != nil:
		if *t.Name == "" {
			errs = append(errs, field.Required(p.Child("name"), "must be a valid object name"))
		}
		if t.LabelSelector != nil {
			errs = append(errs, field.Invalid(p.Child("labelSelector"), t.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case t.SignerName != nil:
		if *t.SignerName == "" {
			errs = append(errs, field.Required(p.Child("signerName"), "must be a valid signer name"))
		}
		errs = append(errs, check.Selector(p.Child("labelSelector"), t.LabelSelector)...)
	default:
		errs = append(errs, field.Required(p, "either name or signerName must be specified"))
	}
	return append(errs, check.Join(check.Present(p.Child("path"), t.Path), check.VolumePath(p.Child("path"), t.Path))...)
}

func certificateSource(p *field.Path, c *corev1.PodCertificateProjection) field.ErrorList {
	errs := check.Join(
		check.Present(p.Child("signerName"), c.SignerName),
		check.Supported(p.Child("keyType"), c.KeyType, "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"),
	)
	if c.CredentialBundlePath == "" && c.KeyPath == "" && c.CertificateChainPath == "" {
		errs = append(errs, field.Required(p, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	for _, f := range []struct{ name, value string }{
		{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath},
	} {
		errs = append(errs, check.VolumePath(p.Child(f.name), f.value)...)
	}
	if m := c.MaxExpirationSeconds; m != nil && (*m < 3600 || *m > 7862400) {
		errs = append(errs, field.Invalid(p.Child("maxExpirationSeconds"), *m, "must be between 1 hour and 91 days"))
	}
	return errs
}
