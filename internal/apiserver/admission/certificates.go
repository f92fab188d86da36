package admission

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// certificateApproval lets only those approve who may approve for the signer.
func (z *world) certificateApproval(ctx context.Context, w *request.Write) error {
	if !on(w, certificatesv1.GroupName, "certificatesigningrequests", []string{"approval"}, request.Update) {
		return nil
	}
	old, ok := w.Old.(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return errWrongType
	}
	if !z.forSigner(ctx, w, "approve", old.Spec.SignerName) {
		return forbidden(w, "user not permitted to approve requests with signerName %q", old.Spec.SignerName)
	}
	return nil
}

// certificateSigning lets only those write a certificate who may sign for the signer.
func (z *world) certificateSigning(ctx context.Context, w *request.Write) error {
	if !on(w, certificatesv1.GroupName, "certificatesigningrequests", []string{"status"}, request.Update) {
		return nil
	}
	old, ok1 := w.Old.(*certificatesv1.CertificateSigningRequest)
	csr, ok2 := w.Object.(*certificatesv1.CertificateSigningRequest)
	if !ok1 || !ok2 {
		return errWrongType
	}
	if bytes.Equal(old.Status.Certificate, csr.Status.Certificate) && len(old.Status.Conditions) == len(csr.Status.Conditions) {
		return nil
	}
	if !z.forSigner(ctx, w, "sign", old.Spec.SignerName) {
		return forbidden(w, "user not permitted to sign requests with signerName %q", old.Spec.SignerName)
	}
	return nil
}

// forSigner asks about one signer, then about all of its domain ("example.com/*").
func (z *world) forSigner(ctx context.Context, w *request.Write, verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		if z.allowed(ctx, &request.Attributes{User: w.User, Verb: verb, Group: certificatesv1.GroupName, Version: "*", Resource: "signers", Name: name}) {
			return true
		}
	}
	return false
}

// certificateSubject keeps system:masters out of certificates that the API hands out.
func certificateSubject(_ context.Context, w *request.Write) error {
	if !on(w, certificatesv1.GroupName, "certificatesigningrequests", self, request.Create) {
		return nil
	}
	csr, ok := w.Object.(*certificatesv1.CertificateSigningRequest)
	if !ok || csr.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	req, err := parseCSR(csr.Spec.Request)
	if err != nil {
		return forbidden(w, "unable to parse csr: %w", err)
	}
	if slices.Contains(req.Subject.Organization, "system:masters") {
		return forbidden(w, "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
	}
	return nil
}

func parseCSR(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errWrongType
	}
	return x509.ParseCertificateRequest(block.Bytes)
}
