package csr

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/authorization"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func request(t *testing.T, signer string, change func(*certificatesv1.CertificateSigningRequest, *x509.CertificateRequest)) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Username: "system:node:a", Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
	}}
	req := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}}
	change(r, req)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, req, key)
	if err != nil {
		t.Fatal(err)
	}
	r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return r
}

func TestOfNode(t *testing.T) {
	type csr = certificatesv1.CertificateSigningRequest
	const signer = certificatesv1.KubeAPIServerClientKubeletSignerName
	for name, c := range map[string]struct {
		signer string
		change func(*csr, *x509.CertificateRequest)
		want   []string
	}{
		"its own":    {signer, func(*csr, *x509.CertificateRequest) {}, []string{"selfnodeclient", "nodeclient"}},
		"of another": {signer, func(r *csr, _ *x509.CertificateRequest) { r.Spec.Username = "joiner" }, []string{"nodeclient"}},
		"RSA": {signer, func(r *csr, _ *x509.CertificateRequest) {
			r.Spec.Usages = append(r.Spec.Usages, certificatesv1.UsageKeyEncipherment)
		}, []string{"selfnodeclient", "nodeclient"}},
		"serving usage": {signer, func(r *csr, _ *x509.CertificateRequest) {
			r.Spec.Usages = append(r.Spec.Usages, certificatesv1.UsageServerAuth)
		}, nil},
		"other signer": {certificatesv1.KubeletServingSignerName, func(*csr, *x509.CertificateRequest) {}, nil},
		"no node":      {signer, func(_ *csr, x *x509.CertificateRequest) { x.Subject.CommonName = "admin" }, nil},
		"more groups": {signer, func(_ *csr, x *x509.CertificateRequest) {
			x.Subject.Organization = append(x.Subject.Organization, "system:masters")
		}, nil},
		"names of hosts": {signer, func(_ *csr, x *x509.CertificateRequest) { x.DNSNames = []string{"a"} }, nil},
		"too few usages": {signer, func(r *csr, _ *x509.CertificateRequest) { r.Spec.Usages = r.Spec.Usages[:1] }, nil},
	} {
		if d := cmp.Diff(c.want, ofNode(request(t, c.signer, c.change))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if ofNode(&csr{Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer, Request: []byte("x")}}) != nil {
		t.Error("garbage is recognised")
	}
}

// reviewing answers access reviews ahead of the fake.
type reviewing struct {
	client.Conn
	registry *api.Registry
	allow    string
}

func (c reviewing) Registry() *api.Registry { return c.registry }

func (c reviewing) Create(ctx context.Context, k *api.Kind, o api.Object, opts metav1.CreateOptions) (api.Object, error) {
	r, ok := o.(*authorizationv1.SubjectAccessReview)
	if !ok {
		return c.Conn.Create(ctx, k, o, opts)
	}
	r = r.DeepCopy()
	r.Status.Allowed = r.Spec.User == "system:node:a" && r.Spec.ResourceAttributes.Subresource == c.allow
	return r, nil
}

func TestApproval(t *testing.T) {
	for allow, want := range map[string]string{"selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.", "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.", "": ""} {
		r := request(t, certificatesv1.KubeAPIServerClientKubeletSignerName, func(*certificatesv1.CertificateSigningRequest, *x509.CertificateRequest) {})
		test.Run(t, func(d controller.Deps) []controller.Part {
			d.Conn = reviewing{d.Conn, api.NewRegistry(append(slices.Clone(d.Conn.Registry().Kinds()), authorization.SubjectAccessReview())), allow}
			d.SignCSR = func(*certificatesv1.CertificateSigningRequest) ([]byte, error) { return []byte("chain"), nil }
			return []controller.Part{NewApprover(d), New(d)}
		}, []api.Object{r}, func(r *test.Rig) {
			got := ""
			s := test.Get[*certificatesv1.CertificateSigningRequest](r, "", "r").Status
			for _, c := range s.Conditions {
				got = c.Message
			}
			if got != want || (len(s.Certificate) > 0) != (want != "") {
				t.Errorf("with %q: %q, certificate %q", allow, got, s.Certificate)
			}
		})
	}
}

func TestSigning(t *testing.T) {
	approved := func(name, signer string) *certificatesv1.CertificateSigningRequest {
		return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer}, Status: certificatesv1.CertificateSigningRequestStatus{
			Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}},
		}}
	}
	pending := approved("pending", certificatesv1.KubeAPIServerClientSignerName)
	pending.Status.Conditions = nil
	seed := []api.Object{approved("good", certificatesv1.KubeAPIServerClientSignerName), approved("bad", certificatesv1.KubeletServingSignerName), approved("other", "example.com/signer"), pending}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	test.Run(t, func(d controller.Deps) []controller.Part {
		d.SignCSR = func(r *certificatesv1.CertificateSigningRequest) ([]byte, error) {
			if r.Name == "bad" {
				return nil, errors.New("no")
			}
			return chain, nil
		}
		return []controller.Part{New(d)}
	}, seed, func(r *test.Rig) {
		got := map[string]string{}
		for _, c := range test.List[*certificatesv1.CertificateSigningRequest](r) {
			switch {
			case len(c.Status.Certificate) > 0:
				got[c.Name] = "issued"
			case has(c, certificatesv1.CertificateFailed):
				got[c.Name] = "failed"
			default:
				got[c.Name] = "-"
			}
		}
		if d := cmp.Diff(map[string]string{"good": "issued", "bad": "failed", "other": "-", "pending": "-"}, got); d != "" {
			t.Error(d)
		}
		r.Pass(keepAnswered)
		if l := test.List[*certificatesv1.CertificateSigningRequest](r); len(l) != 1 || l[0].Name != "pending" {
			t.Errorf("%d requests after an hour", len(l))
		}
		r.Pass(keepPending - keepAnswered + time.Minute)
		if l := test.List[*certificatesv1.CertificateSigningRequest](r); len(l) != 0 {
			t.Errorf("%d requests after a day", len(l))
		}
	})
}
