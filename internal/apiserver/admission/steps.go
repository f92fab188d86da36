// Package admission holds the steps between a decoded write and its
// validation: what the cluster fills in, hands out and refuses.
//
// The order is the list in this file, which is upstream's. Steps look at other objects through request.Reader
// only and never know the server.
package admission

import (
	"context"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/apiserver/admission/policy"
	"github.com/dhow-project/dhow/internal/apiserver/admission/webhook"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	caller "github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// Options are what steps need beyond the Reader.
type Options struct {
	Authorizer request.Authorizer
	// ServiceRanges are the networks of cluster IPs, one or two of different families, the default family first.
	ServiceRanges []netip.Prefix
	// NodePorts is the range of node ports, both ends included; 30000 to 32767 when zero.
	NodePorts PortRange
	// UpdateQuota writes a quota's status on condition of its resourceVersion, and answers a conflict as apierrors
	// does. Without it quotas are checked but not charged.
	UpdateQuota func(context.Context, *corev1.ResourceQuota) error
	// Merger merges what MutatingAdmissionPolicies configure.
	Merger policy.Merger
	Log    *slog.Logger // nil means none
}

// Steps makes the list. Call it before the server starts: some steps listen for changes.
func Steps(r request.Reader, o Options) []request.Step {
	w := &world{Reader: r, authorizer: o.Authorizer}
	alloc := newAllocator(r, o)
	quota := &quota{world: w, update: o.UpdateQuota}
	hooks := webhook.New(r, webhook.Options{Caller: caller.New(caller.Endpoints(r)), Authorizer: o.Authorizer, Log: o.Log})
	return []request.Step{
		{Name: "NamespaceLifecycle", Mutate: w.namespaceLifecycle},
		{Name: "LimitRanger", Mutate: w.limitDefaults, Check: w.limitCheck},
		newServiceAccounts(w).step(),
		{Name: "NodeRestriction", Mutate: w.nodeRestriction},
		{Name: "TaintNodesByCondition", Mutate: taintNode},
		{Name: "PodSecurity", Check: newPodSecurity(w).check},
		{Name: "Priority", Mutate: w.priority, Check: w.onePriorityDefault},
		{Name: "DefaultTolerationSeconds", Mutate: defaultTolerations},
		{Name: "DefaultStorageClass", Mutate: w.defaultStorageClass},
		{Name: "StorageObjectInUseProtection", Mutate: protectStorage},
		{Name: "PersistentVolumeClaimResize", Check: w.claimResize},
		{Name: "RuntimeClass", Mutate: w.runtimeClass, Check: w.runtimeClassCheck},
		{Name: "CertificateApproval", Check: w.certificateApproval},
		{Name: "CertificateSigning", Check: w.certificateSigning},
		{Name: "CertificateSubjectRestriction", Check: certificateSubject},
		{Name: "DefaultIngressClass", Mutate: w.defaultIngressClass},
		policy.Mutating(r, o.Authorizer, o.Merger),
		hooks.Mutating(),
		{Name: "ServiceAllocation", Finish: alloc.admit},
		policy.Validating(r, o.Authorizer),
		hooks.Validating(),
		{Name: "ResourceQuota", Check: quota.check},
	}
}
