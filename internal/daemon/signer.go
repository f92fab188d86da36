package daemon

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// signCSR answers an approved request of one of the kubernetes.io signers; what may be approved is others' business.
func (d *daemon) signCSR(csr *certificatesv1.CertificateSigningRequest) ([]byte, error) {
	block, _ := pem.Decode(csr.Spec.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fault.New(fault.Invalid, "request %s holds no PEM certificate request", csr.Name)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "request %s: %w", csr.Name, err)
	}
	usage, ext, err := usages(csr.Spec.Usages)
	if err != nil {
		return nil, err
	}
	var life time.Duration
	if s := csr.Spec.ExpirationSeconds; s != nil {
		life = time.Duration(*s) * time.Second
	}
	return d.keys.CA.SignCSR(request, usage, ext, life)
}

// usages translates the API's words (RFC 5280 sections 4.2.1.3 and 4.2.1.12).
func usages(words []certificatesv1.KeyUsage) (usage x509.KeyUsage, ext []x509.ExtKeyUsage, err error) {
	plain := map[certificatesv1.KeyUsage]x509.KeyUsage{
		certificatesv1.UsageSigning:           x509.KeyUsageDigitalSignature,
		certificatesv1.UsageDigitalSignature:  x509.KeyUsageDigitalSignature,
		certificatesv1.UsageContentCommitment: x509.KeyUsageContentCommitment,
		certificatesv1.UsageKeyEncipherment:   x509.KeyUsageKeyEncipherment,
		certificatesv1.UsageKeyAgreement:      x509.KeyUsageKeyAgreement,
		certificatesv1.UsageDataEncipherment:  x509.KeyUsageDataEncipherment,
		certificatesv1.UsageEncipherOnly:      x509.KeyUsageEncipherOnly,
		certificatesv1.UsageDecipherOnly:      x509.KeyUsageDecipherOnly,
	}
	extended := map[certificatesv1.KeyUsage]x509.ExtKeyUsage{
		certificatesv1.UsageServerAuth:   x509.ExtKeyUsageServerAuth,
		certificatesv1.UsageClientAuth:   x509.ExtKeyUsageClientAuth,
		certificatesv1.UsageCodeSigning:  x509.ExtKeyUsageCodeSigning,
		certificatesv1.UsageTimestamping: x509.ExtKeyUsageTimeStamping,
		certificatesv1.UsageOCSPSigning:  x509.ExtKeyUsageOCSPSigning,
	}
	for _, w := range words {
		if u, ok := plain[w]; ok {
			usage |= u
		} else if e, ok := extended[w]; ok {
			ext = append(ext, e)
		} else {
			return 0, nil, fault.New(fault.Invalid, "certificate usage %q is not one this cluster signs", w)
		}
	}
	return usage, ext, nil
}
