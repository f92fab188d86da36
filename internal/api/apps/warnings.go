package apps

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// templateWarnings warns of the pod template, when it is new.
func templateWarnings[T any, P kit.Ptr[T]](template func(P) *corev1.PodTemplateSpec) func(obj, old api.Object) []string {
	return func(obj, old api.Object) []string {
		if old != nil && obj.GetGeneration() == old.GetGeneration() {
			return nil
		}
		return podspec.Warnings(field.NewPath("spec", "template"), &template(obj.(P)).Spec)
	}
}
