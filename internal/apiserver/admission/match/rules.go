package match

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// Rules say which writes a policy, a binding or a webhook is for. They are immutable and safe for concurrent use.
type Rules struct {
	include, exclude    []admissionregistrationv1.NamedRuleWithOperations
	everything          bool // no rule includes everything, where that is the meaning of none
	exact               bool
	namespaces, objects labels.Selector
}

// As is how the rules that matched see a write: as one to this resource, with objects of this kind.
type As struct {
	Resource schema.GroupVersionResource
	Kind     schema.GroupVersionKind
	Version  api.Version // of the parent
}

// Namespaces finds a namespace.
type Namespaces func(name string) (*corev1.Namespace, bool)

// Resources makes the rules of a policy or binding, defaults filled in; no resource rules mean all.
func Resources(m *admissionregistrationv1.MatchResources) (*Rules, error) {
	r, err := parse(m.MatchPolicy, m.NamespaceSelector, m.ObjectSelector)
	if err != nil {
		return nil, err
	}
	r.include, r.exclude, r.everything = m.ResourceRules, m.ExcludeResourceRules, len(m.ResourceRules) == 0
	return r, nil
}

// Hook makes the rules of a webhook, defaults filled in; no rules mean none.
func Hook(rules []admissionregistrationv1.RuleWithOperations, p *admissionregistrationv1.MatchPolicyType, namespaces, objects *metav1.LabelSelector) (*Rules, error) {
	r, err := parse(p, namespaces, objects)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		r.include = append(r.include, admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: rules[i]})
	}
	return r, nil
}

func parse(p *admissionregistrationv1.MatchPolicyType, namespaces, objects *metav1.LabelSelector) (*Rules, error) {
	if namespaces == nil {
		return nil, fmt.Errorf("a nil namespace selector was passed, please ensure selectors are initialized properly")
	}
	if objects == nil {
		return nil, fmt.Errorf("a nil object selector was passed, please ensure selectors are initialized properly")
	}
	n, err := metav1.LabelSelectorAsSelector(namespaces)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	o, err := metav1.LabelSelectorAsSelector(objects)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return &Rules{exact: p == nil || *p == admissionregistrationv1.Exact, namespaces: n, objects: o}, nil
}

// Match reports whether the rules are about the target, and as what. A missing namespace is an error only when
// all else matches, as upstream.
func (r *Rules) Match(t *Target, find Namespaces) (as As, ok bool, err error) {
	ok, nsErr := r.namespaceMatches(t, find)
	if !ok && nsErr == nil || !r.objectMatches(t) {
		return As{}, false, nil
	}
	if _, excluded := r.resource(r.exclude, t); excluded {
		return As{}, false, nil
	}
	if r.everything {
		as, ok = asked(t), true
	} else {
		as, ok = r.resource(r.include, t)
	}
	if !ok {
		return As{}, false, nil
	}
	if nsErr != nil {
		return As{}, false, nsErr
	}
	return as, true, nil
}

// namespaceMatches: what is in no namespace and is none itself is never left out.
func (r *Rules) namespaceMatches(t *Target, find Namespaces) (bool, error) {
	if t.Namespace == "" && t.Resource.Resource != "namespaces" || r.namespaces.Empty() {
		return true, nil
	}
	if isNamespace(t.Resource) && t.Subresource == "" && t.Object != nil {
		return selects(r.namespaces, t.Object), nil
	}
	ns, ok := find(t.Namespace)
	if !ok {
		return false, apierrors.NewNotFound(corev1.Resource("namespaces"), t.Namespace)
	}
	return r.namespaces.Matches(labels.Set(ns.Labels)), nil
}

func (r *Rules) objectMatches(t *Target) bool {
	return r.objects.Empty() || selects(r.objects, t.Object) || selects(r.objects, t.Old)
}

func selects(s labels.Selector, o runtime.Object) bool {
	m, ok := o.(metav1.Object)
	return ok && s.Matches(labels.Set(m.GetLabels()))
}

func asked(t *Target) As {
	v := t.write.Version
	if v.Version == "" {
		v = t.write.Kind.Hub()
	}
	return As{t.Resource, t.Kind, v}
}

// resource finds the first rule about the resource asked for, else the first about an equivalent of it.
func (r *Rules) resource(rules []admissionregistrationv1.NamedRuleWithOperations, t *Target) (As, bool) {
	for i := range rules {
		if about(&rules[i], t, t.Resource) && named(&rules[i], t) {
			return asked(t), true
		}
	}
	if r.exact || len(t.write.Kind.Versions) == 1 {
		return As{}, false
	}
	for i := range rules {
		for _, v := range t.write.Kind.Versions {
			gvr := v.GroupVersion().WithResource(t.write.Kind.Resource)
			if gvr == t.Resource || !about(&rules[i], t, gvr) || !named(&rules[i], t) {
				continue
			}
			as := As{gvr, v.GroupVersion().WithKind(t.write.Kind.Kind), v}
			if t.body {
				as.Kind = t.Kind
			}
			return as, true
		}
	}
	return As{}, false
}

func about(r *admissionregistrationv1.NamedRuleWithOperations, t *Target, gvr schema.GroupVersionResource) bool {
	return inScope(r.Scope, t) && has(r.Operations, admissionregistrationv1.OperationType(t.Operation)) &&
		has(r.APIGroups, gvr.Group) && has(r.APIVersions, gvr.Version) &&
		slices.ContainsFunc(r.Resources, func(s string) bool {
			res, sub, _ := strings.Cut(s, "/")
			return (res == "*" || res == gvr.Resource) && (sub == "*" || sub == t.Subresource)
		})
}

func has[T ~string](items []T, want T) bool {
	return slices.ContainsFunc(items, func(i T) bool { return i == "*" || i == want })
}

func inScope(s *admissionregistrationv1.ScopeType, t *Target) bool {
	if s == nil {
		return true
	}
	inside := t.Namespace != "" && !isNamespace(t.Resource)
	switch *s {
	case admissionregistrationv1.AllScopes:
		return true
	case admissionregistrationv1.NamespacedScope:
		return inside
	case admissionregistrationv1.ClusterScope:
		return !inside
	}
	return false
}

func named(r *admissionregistrationv1.NamedRuleWithOperations, t *Target) bool {
	return len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, t.Name)
}

// Exempt reports whether a write is to what configures admission: nothing may intercept it, or a bad policy could
// not be removed.
func Exempt(k *api.Kind) bool {
	if k.Hub().Group != admissionregistrationv1.GroupName {
		return false
	}
	switch k.Kind {
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding":
		return true
	}
	return false
}
