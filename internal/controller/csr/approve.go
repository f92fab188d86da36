package csr

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Approver approves the requests of nodes for client certificates, if the requester may have such a certificate: as a
// node itself, or as somebody who brings in nodes. What nodes serve with is left to people, as upstream does. Use NewApprover.
type Approver struct {
	*controller.Loop
	requests client.Cache[*certificatesv1.CertificateSigningRequest]
	api      client.Client[*certificatesv1.CertificateSigningRequest]
	conn     client.Conn
	review   *api.Kind
}

// NewApprover makes the controller. Where access reviews are not served it approves nothing.
func NewApprover(d controller.Deps) *Approver {
	a := &Approver{
		requests: client.CacheOf[*certificatesv1.CertificateSigningRequest](d.Caches), api: client.For[*certificatesv1.CertificateSigningRequest](d.Conn),
		conn: d.Conn, review: d.Conn.Registry().Kind(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview").GroupKind()),
	}
	a.Loop = controller.NewLoop(d, "csrapproving-controller", a.sync)
	a.Workers = 1
	controller.Changed(a.Loop, a.requests)
	return a
}

func (a *Approver) sync(ctx context.Context, key controller.Key) error {
	r, ok := a.requests.Get("", key.Name)
	if !ok || len(r.Status.Certificate) > 0 || has(r, certificatesv1.CertificateApproved) || has(r, certificatesv1.CertificateDenied) {
		return nil
	}
	for _, sub := range ofNode(r) {
		allowed, err := a.allowed(ctx, r, sub)
		if err != nil {
			return fmt.Errorf("review access of %s: %w", r.Spec.Username, err)
		}
		if allowed {
			return a.approve(ctx, r, sub)
		}
	}
	return nil
}

// ofNode is what a request for a node's client certificate needs permission for, the better first; none if it is something else.
func ofNode(r *certificatesv1.CertificateSigningRequest) []string {
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	req, err := parse(r.Spec.Request)
	if err != nil || !slices.Equal(req.Subject.Organization, []string{"system:nodes"}) || !strings.HasPrefix(req.Subject.CommonName, "system:node:") {
		return nil
	}
	if len(req.DNSNames)+len(req.EmailAddresses)+len(req.IPAddresses)+len(req.URIs) > 0 || !clientUsages(r.Spec.Usages) {
		return nil
	}
	if r.Spec.Username == req.Subject.CommonName {
		return []string{"selfnodeclient", "nodeclient"}
	}
	return []string{"nodeclient"}
}

func parse(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// clientUsages are those of a client; only RSA keys encipher.
func clientUsages(in []certificatesv1.KeyUsage) bool {
	sign, auth := false, false
	for _, u := range in {
		switch u {
		case certificatesv1.UsageDigitalSignature:
			sign = true
		case certificatesv1.UsageClientAuth:
			auth = true
		case certificatesv1.UsageKeyEncipherment:
		default:
			return false
		}
	}
	return sign && auth
}

// allowed asks whether the requester may create requests that are approved by themselves.
func (a *Approver) allowed(ctx context.Context, r *certificatesv1.CertificateSigningRequest, sub string) (bool, error) {
	if a.review == nil {
		return false, nil
	}
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range r.Spec.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	out, err := a.conn.Create(ctx, a.review, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: r.Spec.Username, UID: r.Spec.UID, Groups: r.Spec.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: certificatesv1.GroupName, Version: "*", Resource: "certificatesigningrequests", Subresource: sub, Verb: "create",
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	review, ok := out.(*authorizationv1.SubjectAccessReview)
	return ok && review.Status.Allowed, nil
}

func (a *Approver) approve(ctx context.Context, r *certificatesv1.CertificateSigningRequest, sub string) error {
	next, at := r.DeepCopy(), metav1.Now()
	message := "Auto approving kubelet client certificate after SubjectAccessReview."
	if sub == "selfnodeclient" {
		message = "Auto approving self kubelet client certificate after SubjectAccessReview."
	}
	next.Status.Conditions = append(next.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: message, LastUpdateTime: at, LastTransitionTime: at,
	})
	if _, err := a.api.UpdateSub(ctx, next, "approval"); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("approve: %w", err)
	}
	return nil
}
