package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// LimitRange of the core group.
func LimitRange() *api.Kind {
	return &api.Kind{
		Kind: "LimitRange", Resource: "limitranges",
		ShortNames: []string{"limits"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.LimitRange, corev1.LimitRangeList](corev1.SchemeGroupVersion)},
		Default: kit.On(func(o *corev1.LimitRange) {
			for i := range o.Spec.Limits {
				limitDefault(&o.Spec.Limits[i])
			}
		}),
		Validate:       kit.To(limitRangeValidate),
		CreateOnUpdate: true,
		Columns:        kit.CreatedAtColumns(),
		Cells:          kit.CreatedAtCells,
	}
}

// limitDefault: what is not said follows from what is, from the upper limit down.
func limitDefault(l *corev1.LimitRangeItem) {
	for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
		poddefault.Round(list)
	}
	if l.Type != corev1.LimitTypeContainer {
		return
	}
	fill := func(to *corev1.ResourceList, from corev1.ResourceList) {
		if *to == nil {
			*to = corev1.ResourceList{}
		}
		for n, q := range from {
			if _, ok := (*to)[n]; !ok {
				(*to)[n] = q.DeepCopy()
			}
		}
	}
	fill(&l.Default, l.Max)
	fill(&l.DefaultRequest, l.Default)
	fill(&l.DefaultRequest, l.Min)
}

func limitRangeValidate(o *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("spec", "limits")
	seen := map[corev1.LimitType]bool{}
	for i := range o.Spec.Limits {
		l, ip := &o.Spec.Limits[i], p.Index(i)
		if es := check.QualifiedName(ip.Child("type"), string(l.Type)); len(es) > 0 {
			errs = append(errs, es...)
		} else if !strings.Contains(string(l.Type), "/") && l.Type != corev1.LimitTypePod && l.Type != corev1.LimitTypeContainer && l.Type != corev1.LimitTypePersistentVolumeClaim {
			errs = append(errs, field.Invalid(ip.Child("type"), l.Type, "must be a standard limit type or fully qualified"))
		}
		if seen[l.Type] {
			errs = append(errs, field.Duplicate(ip.Child("type"), l.Type))
		}
		seen[l.Type] = true
		errs = append(errs, limitItem(ip, l)...)
	}
	return errs
}

func limitItem(p *field.Path, l *corev1.LimitRangeItem) field.ErrorList {
	var errs field.ErrorList
	names := map[corev1.ResourceName]bool{}
	for _, list := range []struct {
		name string
		list corev1.ResourceList
	}{{"max", l.Max}, {"min", l.Min}, {"default", l.Default}, {"defaultRequest", l.DefaultRequest}, {"maxLimitRequestRatio", l.MaxLimitRequestRatio}} {
		if l.Type == corev1.LimitTypePod && strings.HasPrefix(list.name, "default") {
			if len(list.list) > 0 {
				errs = append(errs, field.Forbidden(p.Child(list.name), "may not be specified when `type` is 'Pod'"))
			}
			continue
		}
		for n := range list.list {
			names[n] = true
			if np := p.Child(list.name).Key(string(n)); l.Type == corev1.LimitTypePod || l.Type == corev1.LimitTypeContainer {
				errs = append(errs, check.ContainerResourceName(np, n)...)
			} else {
				errs = append(errs, check.ResourceName(np, n)...)
			}
		}
	}
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, a := l.Min[corev1.ResourceStorage]
		if _, b := l.Max[corev1.ResourceStorage]; !a && !b {
			errs = append(errs, field.Required(p.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		errs = append(errs, limitOrder(p, l, n)...)
	}
	return errs
}

// limitOrder checks min ≤ default request ≤ default ≤ max of one resource.
func limitOrder(p *field.Path, l *corev1.LimitRangeItem, n corev1.ResourceName) field.ErrorList {
	var errs field.ErrorList
	k := string(n)
	lo, hasMin := l.Min[n]
	hi, hasMax := l.Max[n]
	def, hasDef := l.Default[n]
	req, hasReq := l.DefaultRequest[n]
	ratio, hasRatio := l.MaxLimitRequestRatio[n]
	order := func(ok bool, a, b resource.Quantity, where string, value resource.Quantity, format string) {
		if ok && a.Cmp(b) > 0 {
			errs = append(errs, field.Invalid(p.Child(where).Key(k), value, fmt.Sprintf(format, a.String(), b.String())))
		}
	}
	order(hasMin && hasMax, lo, hi, "min", lo, "min value %s is greater than max value %s")
	order(hasReq && hasMin, lo, req, "defaultRequest", req, "min value %s is greater than default request value %s")
	order(hasReq && hasMax, req, hi, "defaultRequest", req, "default request value %s is greater than max value %s")
	order(hasReq && hasDef, req, def, "defaultRequest", req, "default request value %s is greater than default limit value %s")
	order(hasDef && hasMin, lo, def, "default", lo, "min value %s is greater than default value %s")
	order(hasDef && hasMax, def, hi, "default", hi, "default value %s is greater than max value %s")
	rp := p.Child("maxLimitRequestRatio").Key(k)
	if hasRatio && ratio.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
		errs = append(errs, field.Invalid(rp, ratio, fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	if hasRatio && hasMin && hasMax {
		if limit := hi.AsApproximateFloat64() / lo.AsApproximateFloat64(); ratio.AsApproximateFloat64() > limit {
			errs = append(errs, field.Invalid(rp, ratio, fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), limit)))
		}
	}
	if !check.IsOvercommitAllowed(n) && hasDef && hasReq && def.Cmp(req) != 0 {
		errs = append(errs, field.Invalid(p.Child("defaultRequest").Key(k), req, fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", def.String(), req.String(), k)))
	}
	return errs
}
