// Package csr signs approved certificate requests of the kubernetes.io signers and forgets old ones.
//
// approve.go approves nodes' own; csr.go signs. Read csr.go first.
package csr

import (
	"context"
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Requests are kept for these times after they were made.
const (
	keepAnswered = time.Hour
	keepPending  = 24 * time.Hour
)

// Controller of CertificateSigningRequests. Use New.
type Controller struct {
	*controller.Loop
	requests client.Cache[*certificatesv1.CertificateSigningRequest]
	api      client.Client[*certificatesv1.CertificateSigningRequest]
	sign     func(*certificatesv1.CertificateSigningRequest) ([]byte, error)
}

// New makes the controller. Without Deps.SignCSR it only forgets.
func New(d controller.Deps) *Controller {
	c := &Controller{requests: client.CacheOf[*certificatesv1.CertificateSigningRequest](d.Caches), api: client.For[*certificatesv1.CertificateSigningRequest](d.Conn), sign: d.SignCSR}
	c.Loop = controller.NewLoop(d, "csrsigning-controller", c.sync)
	c.Workers = 1
	controller.Changed(c.Loop, c.requests)
	return c
}

// ours is whether requests to the signer are answered here.
func ours(name string) bool {
	return slices.Contains([]string{certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName, "kubernetes.io/legacy-unknown"}, name)
}

func has(r *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == t })
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	r, ok := c.requests.Get("", key.Name)
	if !ok {
		return nil
	}
	approved, refused := has(r, certificatesv1.CertificateApproved), has(r, certificatesv1.CertificateDenied) || has(r, certificatesv1.CertificateFailed)
	keep := keepPending
	if approved || refused {
		keep = keepAnswered
	}
	left := time.Until(r.CreationTimestamp.Add(keep))
	if left <= 0 {
		err := c.api.Delete(ctx, "", r.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &r.UID}})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.AddAfter(key, left)
	if !approved || refused || len(r.Status.Certificate) > 0 || c.sign == nil || !ours(r.Spec.SignerName) {
		return nil
	}
	next := r.DeepCopy()
	chain, err := c.sign(next)
	if err != nil {
		at := metav1.Now()
		next.Status.Conditions = append(next.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: err.Error(), LastUpdateTime: at, LastTransitionTime: at,
		})
	}
	next.Status.Certificate = chain
	if _, err := c.api.UpdateStatus(ctx, next); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}
