// Package controller is what all controllers share: what they are given, the
// loop they run in, and how they own objects.
//
// A controller lives in a folder of its own as plan (pure) and steps. It meets
// others only in the API. Package all lists them. Read loop.go, then replicaset.
package controller

import (
	"context"
	"log/slog"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/client"
)

// Key names the object a loop works on; cluster-scoped objects have no namespace.
type Key = types.NamespacedName

// Deps is what a controller is given. Caches is not yet running when New sees it.
type Deps struct {
	Conn     client.Conn
	Caches   *client.Caches
	Recorder *client.Recorder // nil records nothing
	Log      *slog.Logger

	// RootCA is the PEM bundle published in every namespace; nil publishes nothing.
	RootCA []byte
	// SignToken makes a token that never expires for a Secret of type service-account-token; nil leaves such Secrets alone.
	SignToken func(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error)
	// SignCSR answers an approved request of one of the kubernetes.io signers with a PEM chain; nil signs nothing.
	SignCSR func(csr *certificatesv1.CertificateSigningRequest) ([]byte, error)
	// ClusterCIDRs are divided among the nodes, one of each family at most; none assigns nothing.
	ClusterCIDRs []netip.Prefix
}

// Part is a controller that runs until ctx ends.
type Part interface {
	Run(ctx context.Context) error
}
