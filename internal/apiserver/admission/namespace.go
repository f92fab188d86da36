package admission

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// namespaceLifecycle lets nothing be created in a namespace that is missing or on its way out, and keeps
// the cluster's own namespaces.
func (z *world) namespaceLifecycle(_ context.Context, w *request.Write) error {
	if w.Kind.Hub().Group == "" && w.Kind.Resource == "namespaces" {
		if w.Operation == request.Delete && w.Subresource == "" {
			switch w.Name {
			case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
				return forbidden(w, "this namespace may not be deleted")
			}
		}
		return nil
	}
	if w.Namespace == "" || w.Operation == request.Delete || w.Operation == request.Connect || w.Kind.Hub().Group == "authorization.k8s.io" {
		return nil
	}
	ns, ok := find[*corev1.Namespace](z, "", "namespaces", "", w.Namespace)
	if !ok {
		return apierrors.NewNotFound(corev1.Resource("namespaces"), w.Namespace)
	}
	if w.Operation != request.Create || ns.Status.Phase != corev1.NamespaceTerminating && ns.DeletionTimestamp == nil {
		return nil
	}
	err := forbidden(w, "unable to create new content in namespace %s because it is being terminated", w.Namespace)
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", w.Namespace),
			Field:   "metadata.namespace",
		})
	}
	return err
}
