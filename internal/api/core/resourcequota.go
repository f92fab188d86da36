package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// ResourceQuota of the core group.
func ResourceQuota() *api.Kind {
	halves := kit.Split(
		func(o *corev1.ResourceQuota) *corev1.ResourceQuotaSpec { return &o.Spec },
		func(o *corev1.ResourceQuota) *corev1.ResourceQuotaStatus { return &o.Status })
	return &api.Kind{
		Kind: "ResourceQuota", Resource: "resourcequotas",
		ShortNames: []string{"quota"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.ResourceQuota, corev1.ResourceQuotaList](corev1.SchemeGroupVersion)},
		Default: kit.On(func(o *corev1.ResourceQuota) {
			poddefault.Round(o.Spec.Hard)
			poddefault.Round(o.Status.Hard)
			poddefault.Round(o.Status.Used)
		}),
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Validate:      kit.To(quotaValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *corev1.ResourceQuota) field.ErrorList {
			a, b := slices.Sorted(slices.Values(o.Spec.Scopes)), slices.Sorted(slices.Values(old.Spec.Scopes))
			if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
				return check.One(field.Invalid(field.NewPath("spec", "scopes"), o.Spec.Scopes, "field is immutable"))
			}
			return nil
		}),
		Subresources: []api.Subresource{{
			Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec,
			Validate: kit.ToBoth(func(o, _ *corev1.ResourceQuota) field.ErrorList {
				p := field.NewPath("status")
				return append(quotaList(p.Child("hard"), o.Status.Hard), quotaList(p.Child("used"), o.Status.Used)...)
			}),
		}},
		Columns: kit.Columns(
			kit.Column("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
			kit.Column("Limit", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.")),
		Cells: kit.Cells(quotaCells),
	}
}

func quotaValidate(o *corev1.ResourceQuota) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	errs := quotaList(p.Child("hard"), s.Hard)
	for _, scope := range s.Scopes {
		if !isScope(scope) {
			errs = append(errs, field.Invalid(p.Child("scopes"), s.Scopes, "unsupported scope"))
		} else {
			errs = append(errs, scopeFits(p.Child("scopes"), s.Scopes, scope, s.Hard)...)
		}
	}
	errs = append(errs, scopesConflict(p.Child("scopes"), s.Scopes, s.Scopes)...)
	if s.ScopeSelector == nil {
		return errs
	}
	mp := p.Child("scopeSelector", "matchExpressions")
	var named []corev1.ResourceQuotaScope
	for _, e := range s.ScopeSelector.MatchExpressions {
		named = append(named, e.ScopeName)
		if !isScope(e.ScopeName) {
			errs = append(errs, field.Invalid(mp.Child("scopeName"), e.ScopeName, "unsupported scope"))
		} else {
			errs = append(errs, scopeFits(mp, s.ScopeSelector, e.ScopeName, s.Hard)...)
		}
		if e.ScopeName != corev1.ResourceQuotaScopePriorityClass && e.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass && e.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(mp.Child("operator"), e.Operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "+
				"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
		switch e.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(e.Values) == 0 {
				errs = append(errs, field.Required(mp.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(e.Values) > 0 {
				errs = append(errs, field.Invalid(mp.Child("values"), e.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(mp.Child("operator"), e.Operator, "not a valid selector operator"))
		}
	}
	return append(errs, scopesConflict(mp, s.Scopes, named)...)
}

func quotaList(p *field.Path, l corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for n, q := range l {
		np := p.Key(string(n))
		errs = append(errs, check.ResourceName(np, n)...)
		if !strings.Contains(string(n), "/") && !check.IsQuotaResource(n) {
			errs = append(errs, field.Invalid(np, n, "must be a standard resource for quota"))
		}
		errs = append(errs, check.ResourceQuantity(np, n, q)...)
	}
	return errs
}

func isScope(s corev1.ResourceQuotaScope) bool {
	switch s {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort,
		corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass,
		corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass:
		return true
	}
	return false
}

// scopeFits: scopes are of pods, so they say nothing about what is not a pod's.
func scopeFits(p *field.Path, value any, scope corev1.ResourceQuotaScope, hard corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for n := range hard {
		fits := !check.IsQuotaResource(n) || n == corev1.ResourcePods
		switch {
		case fits:
		case scope == corev1.ResourceQuotaScopeBestEffort:
		case scope == corev1.ResourceQuotaScopeVolumeAttributesClass:
			fits = n == corev1.ResourcePersistentVolumeClaims || n == corev1.ResourceRequestsStorage
		default:
			s := string(n)
			fits = n == corev1.ResourceCPU || n == corev1.ResourceMemory || n == corev1.ResourceEphemeralStorage ||
				strings.HasPrefix(s, "limits.") || strings.HasPrefix(s, "requests.") && n != corev1.ResourceRequestsStorage || check.IsHugePages(n)
		}
		if !fits {
			errs = append(errs, field.Invalid(p, value, "unsupported scope applied to resource"))
		}
	}
	return errs
}

func scopesConflict(p *field.Path, value, scopes []corev1.ResourceQuotaScope) field.ErrorList {
	for _, pair := range [][2]corev1.ResourceQuotaScope{
		{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
		{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
	} {
		if slices.Contains(scopes, pair[0]) && slices.Contains(scopes, pair[1]) {
			return check.One(field.Invalid(p, value, "conflicting scopes"))
		}
	}
	return nil
}

func quotaCells(o *corev1.ResourceQuota, now time.Time) []any {
	var requests, limits []string
	for _, n := range slices.Sorted(maps.Keys(o.Status.Hard)) {
		used, hard := o.Status.Used[n], o.Status.Hard[n]
		cell := fmt.Sprintf("%s: %s/%s", n, used.String(), hard.String())
		if strings.HasPrefix(string(n), "limits.") {
			limits = append(limits, cell)
		} else {
			requests = append(requests, cell)
		}
	}
	return []any{o.Name, strings.Join(requests, ", "), strings.Join(limits, ", "), kit.Age(o, now)}
}
