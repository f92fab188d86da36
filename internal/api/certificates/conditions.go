package certificates

import (
	"bytes"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
)

// prepareStatus keeps the spec, and prepareApproval everything but conditions.
func prepareStatus(obj, old api.Object) {
	csr, was := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	csr.Spec = was.Spec
	stamp(csr, was)
}

func prepareApproval(obj, old api.Object) {
	csr, was := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	csr.Spec = was.Spec
	csr.Status = certificatesv1.CertificateSigningRequestStatus{Conditions: csr.Status.Conditions, Certificate: was.Status.Certificate}
	stamp(csr, was)
}

// stamp dates new conditions.
func stamp(csr, was *certificatesv1.CertificateSigningRequest) {
	now := metav1.NewTime(time.Now())
	for i := range csr.Status.Conditions {
		c := &csr.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		if o := condition(was, c.Type); o != nil && o.Status == c.Status {
			c.LastTransitionTime = o.LastTransitionTime
		}
	}
}

func condition(csr *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequestCondition {
	for i := range csr.Status.Conditions {
		if csr.Status.Conditions[i].Type == t {
			return &csr.Status.Conditions[i]
		}
	}
	return nil
}

// validateStatus: a signer does not approve.
func validateStatus(csr, was *certificatesv1.CertificateSigningRequest) field.ErrorList {
	errs := conditions(csr, was, false)
	if len(was.Status.Certificate) > 0 && !bytes.Equal(csr.Status.Certificate, was.Status.Certificate) {
		errs = append(errs, field.Forbidden(field.NewPath("status", "certificate"), "updates may not modify existing certificate content"))
	}
	return errs
}

func validateApproval(csr, was *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return conditions(csr, was, true)
}

// conditions: Approved, Denied and Failed are final, and only an approver sets the first two.
func conditions(csr, was *certificatesv1.CertificateSigningRequest, approver bool) field.ErrorList {
	p := field.NewPath("status", "conditions")
	var errs field.ErrorList
	for i, c := range csr.Status.Conditions {
		cp := p.Index(i)
		errs = append(errs, check.Present(cp.Child("type"), string(c.Type))...)
		errs = append(errs, check.OneOf(cp.Child("status"), c.Status, corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown)...)
		if final(c.Type) && c.Status != corev1.ConditionTrue {
			errs = append(errs, field.NotSupported(cp.Child("status"), c.Status, []corev1.ConditionStatus{corev1.ConditionTrue}))
		}
	}
	if condition(csr, certificatesv1.CertificateApproved) != nil && condition(csr, certificatesv1.CertificateDenied) != nil {
		errs = append(errs, field.Invalid(p, field.OmitValueType{}, "Approved and Denied conditions are mutually exclusive"))
	}
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed} {
		now, old := condition(csr, t), condition(was, t)
		switch {
		case old != nil && now == nil:
			errs = append(errs, field.Forbidden(p, fmt.Sprintf("updates may not remove a condition of type %q", t)))
		case old == nil && now != nil && !approver && t != certificatesv1.CertificateFailed:
			errs = append(errs, field.Forbidden(p, fmt.Sprintf("updates may not add a condition of type %q", t)))
		case old != nil && !approver && t != certificatesv1.CertificateFailed && (old.Reason != now.Reason || old.Message != now.Message || old.Status != now.Status):
			errs = append(errs, field.Forbidden(p, fmt.Sprintf("updates may not modify a condition of type %q", t)))
		}
	}
	return errs
}

func final(t certificatesv1.RequestConditionType) bool {
	return t == certificatesv1.CertificateApproved || t == certificatesv1.CertificateDenied || t == certificatesv1.CertificateFailed
}
