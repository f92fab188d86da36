package admission

import (
	"context"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// nodeRestriction holds kubelets to their own node and the pods on it
// (reference: admission controllers, NodeRestriction).
func (z *world) nodeRestriction(_ context.Context, w *request.Write) error {
	if w.User == nil || !w.User.InGroup("system:nodes") || w.Operation == request.Connect {
		return nil
	}
	node, ok := strings.CutPrefix(w.User.Name, "system:node:")
	if !ok || node == "" {
		return forbidden(w, "could not determine node from user %q", w.User.Name)
	}
	switch w.Kind.Hub().Group + "/" + w.Kind.Resource {
	case "/pods":
		return z.nodePod(node, w)
	case "/nodes":
		return nodeObject(node, w)
	case "/serviceaccounts":
		return z.nodeToken(node, w)
	case "/persistentvolumeclaims":
		if w.Subresource != "status" {
			return forbidden(w, "may only update PVC status")
		}
	case "/persistentvolumes":
		return nodeVolume(node, w)
	case "coordination.k8s.io/leases":
		if w.Namespace != corev1.NamespaceNodeLease {
			return forbidden(w, "can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
		}
		return ownName(node, w, "can only access node lease with the same name as the requesting node")
	case "storage.k8s.io/csinodes":
		return ownName(node, w, "can only access CSINode with the same name as the requesting node")
	case "certificates.k8s.io/certificatesigningrequests":
		return nodeCSR(node, w)
	}
	return nil
}

func ownName(node string, w *request.Write, why string) error {
	if w.Name == node || w.Operation == request.Create && w.Object != nil && w.Object.GetName() == node {
		return nil
	}
	return forbidden(w, "%s", why)
}

func (z *world) nodePod(node string, w *request.Write) error {
	switch {
	case w.Subresource == "" && w.Operation == request.Create:
		p, ok := w.Object.(*corev1.Pod)
		if !ok {
			return errWrongType
		}
		return z.mirrorPod(node, w, p)
	case w.Subresource == "" && w.Operation == request.Delete, w.Subresource == "eviction":
		p, ok := find[*corev1.Pod](z, "", "pods", w.Namespace, w.Name)
		if ok && p.Spec.NodeName != node {
			return forbidden(w, "node %q can only delete pods with spec.nodeName set to itself", node)
		}
		return nil
	case w.Subresource == "status" && w.Operation == request.Update:
		old, ok1 := w.Old.(*corev1.Pod)
		p, ok2 := w.Object.(*corev1.Pod)
		switch {
		case !ok1 || !ok2:
			return errWrongType
		case old.Spec.NodeName != node:
			return forbidden(w, "node %q can only update pod status for pods with spec.nodeName set to itself", node)
		case !equality.Semantic.DeepEqual(old.Labels, p.Labels):
			return forbidden(w, "node %q cannot update labels through pod status", node)
		case !equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, p.Status.ResourceClaimStatuses):
			return forbidden(w, "node %q cannot update resource claim statues", node)
		}
		return nil
	case w.Subresource == "":
		return forbidden(w, "unexpected operation %q, node %q can only create and delete mirror pods", w.Operation, node)
	}
	return forbidden(w, "unexpected pod subresource %q, only 'status' and 'eviction' are allowed", w.Subresource)
}

func (z *world) mirrorPod(node string, w *request.Write, p *corev1.Pod) error {
	switch {
	case !isMirror(p):
		return forbidden(w, "pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	case p.Spec.NodeName != node:
		return forbidden(w, "node %q can only create pods with spec.nodeName set to itself", node)
	case len(p.OwnerReferences) != 1 || p.OwnerReferences[0].Kind != "Node" || p.OwnerReferences[0].Name != node || p.OwnerReferences[0].APIVersion != "v1":
		return forbidden(w, "node %q can only create pods with an owner reference set to itself", node)
	}
	ref := p.OwnerReferences[0]
	if ref.Controller == nil || !*ref.Controller {
		return forbidden(w, "node %q can only create pods with a controller owner reference set to itself", node)
	}
	if ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion {
		return forbidden(w, "node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	n, ok := find[*corev1.Node](z, "", "nodes", "", node)
	if !ok || n.UID != ref.UID {
		return forbidden(w, "node %s UID mismatch", node)
	}
	if p.Spec.ServiceAccountName != "" {
		return forbidden(w, "node %q can not create pods that reference serviceaccounts", node)
	}
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; v.Secret != nil || v.ConfigMap != nil || v.PersistentVolumeClaim != nil || v.Projected != nil {
			return forbidden(w, "node %q can not create pods that reference API objects", node)
		}
	}
	return checkMirror(w, p)
}

func nodeObject(node string, w *request.Write) error {
	name := w.Name
	if w.Operation == request.Create && w.Object != nil && w.Object.GetName() != "" {
		name = w.Object.GetName()
	}
	if name != node {
		return forbidden(w, "node %q is not allowed to modify node %q", node, name)
	}
	n, ok := w.Object.(*corev1.Node)
	if !ok {
		return nil
	}
	if w.Operation == request.Create {
		if bad := forbiddenLabels(nil, n.Labels); len(bad) > 0 {
			return forbidden(w, "node %q is not allowed to set the following labels: %s", node, strings.Join(bad, ", "))
		}
		return nil
	}
	old, ok := w.Old.(*corev1.Node)
	if !ok {
		return nil
	}
	if !equality.Semantic.DeepEqual(old.Spec.Taints, n.Spec.Taints) {
		return forbidden(w, "node %q is not allowed to modify taints", node)
	}
	if !equality.Semantic.DeepEqual(old.OwnerReferences, n.OwnerReferences) {
		return forbidden(w, "node %q is not allowed to modify ownerReferences", node)
	}
	if bad := forbiddenLabels(old.Labels, n.Labels); len(bad) > 0 {
		return forbidden(w, "is not allowed to modify labels: %s", strings.Join(bad, ", "))
	}
	return nil
}

// nodeVolume: a node only lets go of deleted volumes that it held.
func nodeVolume(node string, w *request.Write) error {
	old, ok1 := w.Old.(*corev1.PersistentVolume)
	v, ok2 := w.Object.(*corev1.PersistentVolume)
	if w.Operation != request.Update || w.Subresource != "" || !ok1 || !ok2 || old.Labels[binding.LocalPathNode] != node || old.DeletionTimestamp == nil {
		return forbidden(w, "node %q can only release deleted volumes that it holds", node)
	}
	want := old.DeepCopy()
	want.Finalizers = slices.DeleteFunc(want.Finalizers, func(f string) bool { return f == binding.LocalPathFinalizer })
	have := v.DeepCopy()
	have.ManagedFields, want.ManagedFields = nil, nil
	have.Generation, want.Generation = 0, 0
	if !equality.Semantic.DeepEqual(have, want) {
		return forbidden(w, "node %q may only remove the finalizer %s from a volume", node, binding.LocalPathFinalizer)
	}
	return nil
}

// kubeletLabels are the labels in Kubernetes' own domains that a node may set on itself.
var kubeletLabels = []string{ // never changed
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, corev1.LabelOSStable, corev1.LabelArchStable,
	"beta.kubernetes.io/os", "beta.kubernetes.io/arch",
}

func forbiddenLabels(old, now map[string]string) (bad []string) {
	changed := map[string]bool{}
	for k, v := range now {
		if have, ok := old[k]; !ok || have != v {
			changed[k] = true
		}
	}
	for k := range old {
		if _, ok := now[k]; !ok {
			changed[k] = true
		}
	}
	for k := range maps.Keys(changed) {
		domain, _, found := strings.Cut(k, "/")
		if !found {
			continue
		}
		within := func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }
		free := within("node.kubernetes.io") || within("kubelet.kubernetes.io") || slices.Contains(kubeletLabels, k)
		if within(corev1.LabelNamespaceNodeRestriction) || (within("kubernetes.io") || within("k8s.io")) && !free {
			bad = append(bad, k)
		}
	}
	slices.Sort(bad)
	return bad
}

// nodeToken lets a node have tokens only for pods that run on it.
func (z *world) nodeToken(node string, w *request.Write) error {
	if w.Subresource != "token" {
		return nil
	}
	tr, ok := w.Body.(*authenticationv1.TokenRequest)
	if !ok {
		return nil
	}
	ref := tr.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return forbidden(w, "node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return forbidden(w, "node requested token with a pod binding without a uid")
	}
	p, ok := find[*corev1.Pod](z, "", "pods", w.Namespace, ref.Name)
	switch {
	case !ok:
		return forbidden(w, "pod %q not found", ref.Name)
	case p.UID != ref.UID:
		return forbidden(w, "the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	case p.Spec.NodeName != node:
		return forbidden(w, "node requested token bound to a pod scheduled on a different node")
	}
	return nil
}

func nodeCSR(node string, w *request.Write) error {
	csr, ok := w.Object.(*certificatesv1.CertificateSigningRequest)
	if !ok || w.Operation != request.Create || w.Subresource != "" {
		return nil
	}
	if s := csr.Spec.SignerName; s != certificatesv1.KubeletServingSignerName && s != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	req, err := parseCSR(csr.Spec.Request)
	if err != nil {
		return forbidden(w, "unable to parse csr: %w", err)
	}
	if req.Subject.CommonName != "system:node:"+node {
		return forbidden(w, "can only create a node CSR with CN=system:node:%s", node)
	}
	return nil
}
