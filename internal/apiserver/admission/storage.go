package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const (
	defaultClass     = "storageclass.kubernetes.io/is-default-class"
	defaultClassBeta = "storageclass.beta.kubernetes.io/is-default-class"
	ingressClass     = "kubernetes.io/ingress.class"
)

// protectStorage keeps claims and volumes from vanishing under those who use them.
func protectStorage(_ context.Context, w *request.Write) error {
	finalizer := ""
	switch {
	case on(w, "", "persistentvolumeclaims", self, request.Create):
		finalizer = "kubernetes.io/pvc-protection"
	case on(w, "", "persistentvolumes", self, request.Create):
		finalizer = "kubernetes.io/pv-protection"
	case on(w, storagev1.GroupName, "volumeattributesclasses", self, request.Create):
		finalizer = "kubernetes.io/vac-protection"
	default:
		return nil
	}
	if f := w.Object.GetFinalizers(); !slices.Contains(f, finalizer) {
		w.Object.SetFinalizers(append(f, finalizer))
	}
	return nil
}

// newest picks of several defaults the one made last, then the first by name.
func newest[T api.Object](list []T, isDefault func(T) bool) (out T, ok bool) {
	for _, o := range list {
		if !isDefault(o) {
			continue
		}
		if t := o.GetCreationTimestamp(); !ok || out.GetCreationTimestamp().Time.Before(t.Time) {
			out, ok = o, true
		}
	}
	return out, ok
}

// defaultStorageClass gives a claim that names no class the cluster's default.
func (z *world) defaultStorageClass(_ context.Context, w *request.Write) error {
	if !on(w, "", "persistentvolumeclaims", self, request.Create) {
		return nil
	}
	c, ok := w.Object.(*corev1.PersistentVolumeClaim)
	if !ok || c.Spec.StorageClassName != nil {
		return nil
	}
	if _, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return nil
	}
	def, ok := newest(all[*storagev1.StorageClass](z, storagev1.GroupName, "storageclasses", ""), func(c *storagev1.StorageClass) bool {
		return c.Annotations[defaultClass] == "true" || c.Annotations[defaultClassBeta] == "true"
	})
	if ok {
		name := def.Name
		c.Spec.StorageClassName = &name
	}
	return nil
}

// claimResize lets a claim grow only where its class can do it.
func (z *world) claimResize(_ context.Context, w *request.Write) error {
	if !on(w, "", "persistentvolumeclaims", self, request.Update) {
		return nil
	}
	c, ok1 := w.Object.(*corev1.PersistentVolumeClaim)
	old, ok2 := w.Old.(*corev1.PersistentVolumeClaim)
	if !ok1 || !ok2 {
		return nil
	}
	want, have := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if want.Cmp(have) <= 0 {
		return nil
	}
	if old.Status.Phase != corev1.ClaimBound {
		return forbidden(w, "Only bound persistent volume claims can be expanded")
	}
	name := c.Annotations[corev1.BetaStorageClassAnnotation]
	if name == "" && c.Spec.StorageClassName != nil {
		name = *c.Spec.StorageClassName
	}
	sc, ok := find[*storagev1.StorageClass](z, storagev1.GroupName, "storageclasses", "", name)
	if !ok || sc.AllowVolumeExpansion == nil || !*sc.AllowVolumeExpansion {
		return forbidden(w, "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
	}
	return nil
}

// defaultIngressClass gives an ingress that names no class the cluster's default.
func (z *world) defaultIngressClass(_ context.Context, w *request.Write) error {
	if !on(w, networkingv1.GroupName, "ingresses", self, request.Create) {
		return nil
	}
	i, ok := w.Object.(*networkingv1.Ingress)
	if !ok || i.Spec.IngressClassName != nil {
		return nil
	}
	if _, ok := i.Annotations[ingressClass]; ok {
		return nil
	}
	def, ok := newest(all[*networkingv1.IngressClass](z, networkingv1.GroupName, "ingressclasses", ""), func(c *networkingv1.IngressClass) bool {
		return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	})
	if ok {
		name := def.Name
		i.Spec.IngressClassName = &name
	}
	return nil
}
