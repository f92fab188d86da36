package networking

import (
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// IngressClass of the group networking.
func IngressClass() *api.Kind {
	return &api.Kind{
		Kind: "IngressClass", Resource: "ingressclasses",
		Versions:      []api.Version{kit.Served[networkingv1.IngressClass, networkingv1.IngressClassList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *networkingv1.IngressClass) {
			if o.Spec.Parameters != nil {
				poddefault.Set(&o.Spec.Parameters.Scope, networkingv1.IngressClassParametersReferenceScopeCluster)
			}
		}),
		Validate: kit.To(ingressClassValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *networkingv1.IngressClass) field.ErrorList {
			return check.Immutable(field.NewPath("spec", "controller"), o.Spec.Controller, old.Spec.Controller)
		}),
		Columns: kit.Columns(
			kit.Column("Controller", "Controller that is responsible for handling this class"),
			kit.Column("Parameters", "A reference to a resource with additional parameters")),
		Cells: kit.Cells(func(o *networkingv1.IngressClass, now time.Time) []any {
			parameters := "<none>"
			if r := o.Spec.Parameters; r != nil {
				parameters = r.Kind
				if r.APIGroup != nil {
					parameters += "." + *r.APIGroup
				}
				parameters += "/" + r.Name
			}
			return []any{o.Name, o.Spec.Controller, parameters, kit.Age(o, now)}
		}),
	}
}

func ingressClassValidate(o *networkingv1.IngressClass) field.ErrorList {
	p := field.NewPath("spec")
	var errs field.ErrorList
	if len(o.Spec.Controller) > 250 {
		errs = append(errs, field.TooLong(p.Child("controller"), o.Spec.Controller, 250))
	}
	errs = append(errs, validation.IsDomainPrefixedPath(p.Child("controller"), o.Spec.Controller)...)
	r, rp := o.Spec.Parameters, p.Child("parameters")
	if r == nil {
		return errs
	}
	errs = append(errs, check.Join(check.Present(rp.Child("kind"), r.Kind), check.Present(rp.Child("name"), r.Name))...)
	if r.Scope == nil {
		return append(errs, field.Required(rp.Child("scope"), ""))
	}
	errs = append(errs, check.Supported(rp.Child("scope"), *r.Scope, networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace)...)
	switch namespaced := *r.Scope == networkingv1.IngressClassParametersReferenceScopeNamespace; {
	case namespaced && (r.Namespace == nil || *r.Namespace == ""):
		errs = append(errs, field.Required(rp.Child("namespace"), "`parameters.scope` is set to 'Namespace'"))
	case !namespaced && r.Namespace != nil:
		errs = append(errs, field.Forbidden(rp.Child("namespace"), "`parameters.scope` is set to 'Cluster'"))
	}
	return errs
}
