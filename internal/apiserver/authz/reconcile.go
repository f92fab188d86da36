package authz

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dhow-project/dhow/internal/api"
)

// Reconcile is what a start does with a default role or binding that exists already: rules and
// subjects that are missing come back, what somebody added stays. It returns the object to write, nil when
// nothing is missing or when its autoupdate annotation is "false". A binding whose role differs must be
// deleted first and then created (roleRef cannot change): recreate.
func Reconcile(have, want api.Object) (update api.Object, recreate bool) {
	if have.GetAnnotations()[autoupdate] == "false" {
		return nil, false
	}
	out := have.DeepCopyObject().(api.Object)
	var changed bool
	switch w := want.(type) {
	case *rbacv1.ClusterRole:
		o := out.(*rbacv1.ClusterRole)
		if w.AggregationRule != nil {
			changed = !equality.Semantic.DeepEqual(o.AggregationRule, w.AggregationRule)
			o.AggregationRule = w.AggregationRule.DeepCopy()
			break
		}
		o.Rules, changed = addRules(o.Rules, w.Rules)
	case *rbacv1.Role:
		o := out.(*rbacv1.Role)
		o.Rules, changed = addRules(o.Rules, w.Rules)
	case *rbacv1.ClusterRoleBinding:
		o := out.(*rbacv1.ClusterRoleBinding)
		if o.RoleRef != w.RoleRef {
			return want, true
		}
		o.Subjects, changed = addSubjects(o.Subjects, w.Subjects)
	case *rbacv1.RoleBinding:
		o := out.(*rbacv1.RoleBinding)
		if o.RoleRef != w.RoleRef {
			return want, true
		}
		o.Subjects, changed = addSubjects(o.Subjects, w.Subjects)
	}
	labels, l := addAll(out.GetLabels(), want.GetLabels())
	annotations, a := addAll(out.GetAnnotations(), want.GetAnnotations())
	if !changed && !l && !a {
		return nil, false
	}
	out.SetLabels(labels)
	out.SetAnnotations(annotations)
	return out, false
}

func addRules(have, want []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, bool) {
	missing := covers(have, want)
	return append(have, missing...), len(missing) > 0
}

func addSubjects(have, want []rbacv1.Subject) ([]rbacv1.Subject, bool) {
	n := len(have)
	for _, s := range want {
		if !slices.Contains(have, s) {
			have = append(have, s)
		}
	}
	return have, len(have) > n
}

func addAll(have, want map[string]string) (map[string]string, bool) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, want)
	return out, !maps.Equal(out, have)
}
