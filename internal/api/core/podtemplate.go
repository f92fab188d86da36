package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// PodTemplate of the core group.
func PodTemplate() *api.Kind {
	return &api.Kind{
		Kind: "PodTemplate", Resource: "podtemplates",
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.PodTemplate, corev1.PodTemplateList](corev1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(func(o *corev1.PodTemplate) { poddefault.Spec(&o.Template.Spec) }),
		Validate: kit.To(func(o *corev1.PodTemplate) field.ErrorList {
			return podspec.Template(field.NewPath("template"), &o.Template)
		}),
		Columns: []metav1.TableColumnDefinition{
			kit.NameColumn(),
			kit.Column("Containers", "Names of each container in the template."),
			kit.Column("Images", "Images referenced by each container in the template."),
			kit.Column("Pod Labels", "The labels for the pod template."),
		},
		Cells: kit.Cells(func(o *corev1.PodTemplate, _ time.Time) []any {
			names, images := kit.Images(o.Template.Spec.Containers)
			return []any{o.Name, names, images, labels.FormatLabels(o.Template.Labels)}
		}),
	}
}
