// Package binding says what claims, volumes and classes mean to each other: what belongs together already, and what
// would suit. The volume controllers, the scheduler and the node agree through it.
//
// It is pure and knows no caches. Read match.go first.
package binding

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Annotations of claims and volumes (reference: "Well-Known Labels, Annotations and Taints").
const (
	// BindCompleted on a claim: it was bound once; from then on a missing volume is a loss.
	BindCompleted = "pv.kubernetes.io/bind-completed"
	// BoundByController on a claim or a volume: the binding is ours and may be undone; without it a user made it.
	BoundByController = "pv.kubernetes.io/bound-by-controller"
	// ProvisionedBy on a volume: who made it and takes it away.
	ProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// SelectedNode on a claim: where the scheduler wants its volume.
	SelectedNode = "volume.kubernetes.io/selected-node"
	// Provisioner on a claim: who is to make its volume; BetaProvisioner is what older provisioners look at.
	Provisioner     = "volume.kubernetes.io/storage-provisioner"
	BetaProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
)

// NoProvisioner is the provisioner of classes whose volumes people make.
const NoProvisioner = "kubernetes.io/no-provisioner"

// What the built-in provisioner is known by.
const (
	// LocalPath is the provisioner of directories on nodes.
	LocalPath = "dhow.dev/local-path"
	// LocalPathRoot on a Node is the directory, an absolute path, that its volumes are made in.
	LocalPathRoot = "dhow.dev/local-path"
	// LocalPathNode labels a volume with the node that holds it: nodes watch their own.
	LocalPathNode = "dhow.dev/node"
	// LocalPathFinalizer keeps a volume until its node has removed the directory.
	LocalPathFinalizer = "dhow.dev/local-path"
)

// ClassOf is the class a claim asks for, "" for none.
func ClassOf(c *corev1.PersistentVolumeClaim) string {
	if name, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return name
	}
	if c.Spec.StorageClassName != nil {
		return *c.Spec.StorageClassName
	}
	return ""
}

// Classless is whether a claim leaves its class open, for the default to come; the class "" is a choice.
func Classless(c *corev1.PersistentVolumeClaim) bool {
	_, ok := c.Annotations[corev1.BetaStorageClassAnnotation]
	return !ok && c.Spec.StorageClassName == nil
}

// ClassOfVolume is the class a volume is of, "" for none.
func ClassOfVolume(v *corev1.PersistentVolume) string {
	if name, ok := v.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return name
	}
	return v.Spec.StorageClassName
}

// Waits is whether claims of a class are bound only when a pod needs them. A class that does not exist is nil.
func Waits(class *storagev1.StorageClass) bool {
	return class != nil && class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

// Bound is whether a claim has its volume and nothing is left to do for that.
func Bound(c *corev1.PersistentVolumeClaim) bool {
	return c.Spec.VolumeName != "" && c.Annotations[BindCompleted] != "" && c.Status.Phase != corev1.ClaimLost
}

// ClaimOf is the name of the claim behind a pod's volume, "" when it has none. own is that the claim is made for the
// pod and dies with it (KEP-1698).
func ClaimOf(pod string, v *corev1.Volume) (name string, own bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, false
	case v.Ephemeral != nil:
		return pod + "-" + v.Name, true
	}
	return "", false
}
