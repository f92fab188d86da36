package admission

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

// may allows exactly one verb on one signer.
type may struct{ verb, signer string }

func (m may) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	if a.Verb == m.verb && a.Name == m.signer && a.Resource == "signers" {
		return request.Allow, "", nil
	}
	return request.NoOpinion, "", nil
}

func csr(t *testing.T, signer, cn string, groups ...string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: groups}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: meta("", "c"), Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}
}

func TestCertificates(t *testing.T) {
	r := readertest.New(readertest.Kind[certificatesv1.CertificateSigningRequest](certificatesv1.GroupName, "v1", "CertificateSigningRequest", "certificatesigningrequests", false))
	const client, serving = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kubelet-serving"
	old := csr(t, serving, "system:node:a", "system:nodes")
	signed := old.DeepCopy()
	signed.Status.Certificate = []byte("x")
	for _, c := range []struct {
		may  may
		obj  *certificatesv1.CertificateSigningRequest
		old  *certificatesv1.CertificateSigningRequest
		sub  string
		node bool
		want string
	}{
		{obj: csr(t, client, "jane", "dev")},
		{obj: csr(t, client, "jane", "system:masters"), want: "system:masters group is not allowed"},
		{obj: csr(t, serving, "system:node:a"), node: true},
		{obj: csr(t, serving, "system:node:b"), node: true, want: "can only create a node CSR with CN=system:node:a"},
		{obj: old, old: old, sub: "approval", want: `user not permitted to approve requests with signerName "kubernetes.io/kubelet-serving"`},
		{obj: old, old: old, sub: "approval", may: may{"approve", serving}},
		{obj: old, old: old, sub: "approval", may: may{"approve", "kubernetes.io/*"}},
		{obj: signed, old: old, sub: "status", may: may{"approve", serving}, want: "user not permitted to sign requests"},
		{obj: signed, old: old, sub: "status", may: may{"sign", serving}},
		{obj: old, old: old, sub: "status"},
	} {
		w := write(r, "certificatesigningrequests", c.obj, nil)
		if c.old != nil {
			w = write(r, "certificatesigningrequests", c.obj, c.old)
		}
		w.Subresource = c.sub
		if c.node {
			w.User = &request.User{Name: "system:node:a", Groups: []string{"system:nodes"}}
		}
		wants(t, admit(t, Steps(r, Options{Authorizer: c.may}), w), c.want)
	}
}

func TestRuntimeClass(t *testing.T) {
	r := readertest.New(readertest.Kind[corev1.Pod]("", "v1", "Pod", "pods", true), readertest.Kind[nodev1.RuntimeClass](nodev1.GroupName, "v1", "RuntimeClass", "runtimeclasses", false))
	r.Put(&nodev1.RuntimeClass{ObjectMeta: meta("", "box"), Overhead: &nodev1.Overhead{PodFixed: list("memory", "64Mi")},
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"kvm": "yes"}, Tolerations: []corev1.Toleration{{Key: "kvm"}}}})
	z := &world{Reader: r}
	both := func(p *corev1.Pod) error {
		w := write(r, "pods", p, nil)
		if err := z.runtimeClass(t.Context(), w); err != nil {
			return err
		}
		return z.runtimeClassCheck(t.Context(), w)
	}
	box, none := "box", "none"
	p := pod("a")
	p.Spec.RuntimeClassName = &box
	wants(t, both(p), "")
	if q := p.Spec.Overhead["memory"]; q.String() != "64Mi" || p.Spec.NodeSelector["kvm"] != "yes" || len(p.Spec.Tolerations) != 1 {
		t.Errorf("got %+v", p.Spec)
	}
	p.Spec.NodeSelector["kvm"] = "no"
	wants(t, both(p), "conflict: runtimeClass.scheduling.nodeSelector[kvm] = yes; pod.spec.nodeSelector[kvm] = no")
	p = pod("b")
	p.Spec.RuntimeClassName = &none
	wants(t, both(p), `pod rejected: RuntimeClass "none" not found`)
	p = pod("c")
	p.Spec.Overhead = list("cpu", "1")
	wants(t, both(p), "Pod Overhead set without corresponding RuntimeClass defined Overhead")
}
