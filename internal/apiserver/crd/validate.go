package crd

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apivalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"

	"github.com/dhow-project/dhow/internal/api"
)

func onNew(f func(v *unstructured.Unstructured) field.ErrorList) func(api.Object) field.ErrorList {
	return func(o api.Object) field.ErrorList { return f(o.(*unstructured.Unstructured)) }
}

func onBoth(f func(u, old *unstructured.Unstructured) field.ErrorList) func(o, old api.Object) field.ErrorList {
	return func(o, old api.Object) field.ErrorList {
		return f(o.(*unstructured.Unstructured), old.(*unstructured.Unstructured))
	}
}

// known finds the version of an object that is to be written.
func (d *definition) known(u *unstructured.Unstructured) (*version, field.ErrorList) {
	v := d.of(u)
	switch {
	case v == nil:
		return nil, field.ErrorList{field.Invalid(field.NewPath("apiVersion"), u.GetAPIVersion(), "must be a version of "+d.crd.Name)}
	case u.GetKind() != d.kind:
		return nil, field.ErrorList{field.Invalid(field.NewPath("kind"), u.GetKind(), "must be "+d.kind)}
	}
	return v, nil
}

func (d *definition) validateCreate(u *unstructured.Unstructured) field.ErrorList {
	v, errs := d.known(u)
	if v == nil {
		return errs
	}
	whole, err := v.whole()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	errs = append(errs, validation.ValidateCustomResource(nil, u.Object, whole)...)
	errs = append(errs, v.alone(u)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, v.structural, u.Object)...)
	return append(errs, v.check(u, nil, errs)...)
}

// validateUpdate lets stand what was wrong before and is not touched (KEP-4008).
func (d *definition) validateUpdate(u, old *unstructured.Unstructured) field.ErrorList {
	v, errs := d.known(u)
	if v == nil {
		return errs
	}
	whole, err := v.whole()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	pair := common.NewCorrelatedObject(u.Object, old.Object, &model.Structural{Structural: v.structural})
	errs = append(errs, validation.ValidateCustomResourceUpdate(nil, u.Object, old.Object, whole, validation.WithRatcheting(pair))...)
	errs = append(errs, v.alone(u)...)
	errs = append(errs, v.lists(u, old)...)
	return append(errs, v.check(u, old, errs, cel.WithRatcheting(pair))...)
}

func (d *definition) validateStatus(u, old *unstructured.Unstructured) field.ErrorList {
	v, errs := d.known(u)
	if v == nil {
		return errs
	}
	status, err := v.status()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	pair := common.NewCorrelatedObject(u.Object, old.Object, &model.Structural{Structural: v.structural})
	var options []validation.ValidationOption
	if v.structural != nil {
		options = append(options, validation.WithRatcheting(pair.Key("status")))
	}
	if s, ok := u.Object["status"]; ok && status != nil {
		errs = append(errs, validation.ValidateCustomResourceUpdate(field.NewPath("status"), s, old.Object["status"], status, options...)...)
	}
	errs = append(errs, scaleStatus(v.scale(), u)...)
	errs = append(errs, v.lists(u, old)...)
	return append(errs, v.check(u, old, errs, cel.WithRatcheting(pair))...)
}

// alone checks what an older object has no say in: the scale, and metadata of embedded objects.
func (v *version) alone(u *unstructured.Unstructured) field.ErrorList {
	errs := slices.Concat(scaleSpec(v.scale(), u), scaleStatus(v.scale(), u))
	return append(errs, objectmeta.Validate(nil, u.Object, v.structural, false)...)
}

// lists checks that sets and maps have no element twice, unless they had before.
func (v *version) lists(u, old *unstructured.Unstructured) field.ErrorList {
	errs := listtype.ValidateListSetsAndMaps(nil, v.structural, u.Object)
	if len(errs) > 0 && len(listtype.ValidateListSetsAndMaps(nil, v.structural, old.Object)) > 0 {
		return nil
	}
	return errs
}

// check runs the schema's rules (x-kubernetes-validations), unless the object is too broken for them.
func (v *version) check(u, old *unstructured.Unstructured, before field.ErrorList, options ...cel.Option) field.ErrorList {
	rules := v.rules()
	if rules == nil {
		return nil
	}
	if slices.ContainsFunc(before, blocks) {
		return field.ErrorList{field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation")}
	}
	var was any
	if old != nil {
		was = old.Object
	}
	errs, _ := rules.Validate(context.Background(), nil, v.structural, u.Object, was, celconfig.RuntimeCELCostBudget, options...)
	return errs
}

// blocks: rules may not be able to look at what has this error.
func blocks(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

func scaleSpec(s *apiextensionsv1.CustomResourceSubresourceScale, u *unstructured.Unstructured) field.ErrorList {
	if s == nil {
		return nil
	}
	return replicas(u, s.SpecReplicasPath)
}

func scaleStatus(s *apiextensionsv1.CustomResourceSubresourceScale, u *unstructured.Unstructured) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := replicas(u, s.StatusReplicasPath)
	if s.LabelSelectorPath != nil && *s.LabelSelectorPath != "" {
		if sel, _, err := unstructured.NestedString(u.Object, path(*s.LabelSelectorPath)...); err != nil {
			errs = append(errs, field.Invalid(field.NewPath(*s.LabelSelectorPath), sel, err.Error()))
		}
	}
	return errs
}

func replicas(u *unstructured.Unstructured, at string) field.ErrorList {
	n, _, err := unstructured.NestedInt64(u.Object, path(at)...)
	p := field.NewPath(at)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(p, n, err.Error())}
	case n < 0:
		return field.ErrorList{field.Invalid(p, n, "should be a non-negative integer")}
	case n > math.MaxInt32:
		return field.ErrorList{field.Invalid(p, n, fmt.Sprintf("should be less than or equal to %v", math.MaxInt32))}
	}
	return nil
}

// warnings are about new finalizers whose names somebody else may take too.
func warnings(o, old api.Object) (out []string) {
	const at = "metadata.finalizers"
	for _, f := range o.GetFinalizers() {
		if old != nil && slices.Contains(old.GetFinalizers(), f) {
			continue
		}
		for _, msg := range apivalidation.IsQualifiedName(f) {
			out = append(out, fmt.Sprintf("%s: %q: %s", at, f, msg))
		}
		switch {
		case strings.Contains(f, "/"), f == metav1.FinalizerOrphanDependents, f == metav1.FinalizerDeleteDependents, f == "kubernetes":
		case strings.Contains(f, "."):
			out = append(out, fmt.Sprintf("%s: %q: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers", at, f))
		default:
			out = append(out, fmt.Sprintf("%s: %q: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers", at, f))
		}
	}
	return out
}
