package localpath

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
)

// ClassName is the class that users of k3s and kind know.
const ClassName = "local-path"

// offered on the namespace kube-system says that the cluster was given its class once. A class that is gone after
// that was deleted by somebody who does not want it.
const offered = "dhow.dev/default-storage-class"

// Class is the one that a new cluster begins with.
func Class() *storagev1.StorageClass {
	policy, mode, grows := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer, true
	return &storagev1.StorageClass{
		ObjectMeta:    metav1.ObjectMeta{Name: ClassName, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner:   binding.LocalPath,
		ReclaimPolicy: &policy, VolumeBindingMode: &mode, AllowVolumeExpansion: &grows,
	}
}

// Offer makes the class in a cluster that was never offered it and has no other. The mark is written after the class:
// a crash in between offers it again.
func Offer(ctx context.Context, conn client.Conn) error {
	namespaces := client.For[*corev1.Namespace](conn)
	system, err := namespaces.Get(ctx, "", metav1.NamespaceSystem)
	if err != nil {
		return fmt.Errorf("read namespace %s: %w", metav1.NamespaceSystem, err)
	}
	if system.Annotations[offered] != "" {
		return nil
	}
	classes := client.For[*storagev1.StorageClass](conn)
	have, err := classes.List(ctx, "", metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list storage classes: %w", err)
	}
	if len(have) == 0 {
		if _, err := classes.Create(ctx, Class()); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create storage class %s: %w", ClassName, err)
		}
	}
	_, err = client.Mutate(ctx, namespaces, "", metav1.NamespaceSystem, func(ns *corev1.Namespace) error {
		if ns.Annotations == nil {
			ns.Annotations = map[string]string{}
		}
		ns.Annotations[offered] = "offered"
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return nil
}
