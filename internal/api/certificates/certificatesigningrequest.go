package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CertificateSigningRequest of the group certificates.
func CertificateSigningRequest() *api.Kind {
	halves := kit.Split(
		func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestSpec {
			return &o.Spec
		},
		func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestStatus {
			return &o.Status
		})
	return &api.Kind{
		Kind: "CertificateSigningRequest", Resource: "certificatesigningrequests",
		ShortNames:    []string{"csr"},
		Versions:      []api.Version{kit.Served[certificatesv1.CertificateSigningRequest, certificatesv1.CertificateSigningRequestList](certificatesv1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"spec.signerName": kit.To(func(o *certificatesv1.CertificateSigningRequest) string { return o.Spec.SignerName }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			{Name: "approval", Verbs: kit.ReadWrite, Prepare: prepareApproval},
		},
	}
}

// prepareApproval lets through nothing but conditions.
func prepareApproval(obj, old api.Object) {
	csr, was := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	csr.Spec = was.Spec
	conditions := csr.Status.Conditions
	csr.Status = was.Status
	csr.Status.Conditions = conditions
}
