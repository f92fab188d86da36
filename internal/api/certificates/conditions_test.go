package certificates

import (
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestConditions: who may sign cannot approve, and a decision stands.
func TestConditions(t *testing.T) {
	csr := func(types ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
		o := &certificatesv1.CertificateSigningRequest{}
		for _, c := range types {
			o.Status.Conditions = append(o.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c, Status: corev1.ConditionTrue})
		}
		return o
	}
	const approved, denied, failed = certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed
	for _, c := range []struct {
		now, old *certificatesv1.CertificateSigningRequest
		validate func(now, old *certificatesv1.CertificateSigningRequest) field.ErrorList
		want     string
	}{
		{csr(approved), csr(), validateApproval, ""},
		{csr(approved), csr(), validateStatus, `may not add a condition of type "Approved"`},
		{csr(approved, failed), csr(approved), validateStatus, ""},
		{csr(), csr(approved), validateApproval, `may not remove a condition of type "Approved"`},
		{csr(approved, denied), csr(approved), validateApproval, "mutually exclusive"},
	} {
		got := ""
		if errs := c.validate(c.now, c.old); len(errs) > 0 {
			got = errs.ToAggregate().Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
