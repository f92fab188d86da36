package match

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

type ruleOf = admissionregistrationv1.NamedRuleWithOperations

func rule(ops, group, version, resource string) ruleOf {
	return ruleOf{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationType(ops)},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
	}}
}

func TestMatch(t *testing.T) {
	registry := api.NewRegistry(all.Kinds())
	kind := func(group, resource string) *api.Kind {
		for _, k := range registry.Kinds() {
			if k.Hub().Group == group && k.Resource == resource {
				return k
			}
		}
		t.Fatal(resource)
		return nil
	}
	find := func(name string) (*corev1.Namespace, bool) {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": "a"}}}, name == "web"
	}
	meta := metav1.ObjectMeta{Namespace: "web", Name: "x", Labels: map[string]string{"app": "x"}}
	deploy := &request.Write{Operation: request.Update, Kind: kind("apps", "deployments"), Version: kind("apps", "deployments").Hub(),
		Namespace: "web", Name: "x", Object: &appsv1.Deployment{ObjectMeta: meta}, Old: &appsv1.Deployment{ObjectMeta: meta}}
	scale := *deploy
	scale.Subresource = "scale"
	lost := *deploy
	lost.Namespace = "gone"
	remove := *deploy
	remove.Operation, remove.Object = request.Delete, nil
	hpa := &request.Write{Operation: request.Create, Kind: kind("autoscaling", "horizontalpodautoscalers"), Version: kind("autoscaling", "horizontalpodautoscalers").Versions[0], Namespace: "web", Name: "x"}
	ns := &request.Write{Operation: request.Create, Kind: kind("", "namespaces"), Version: kind("", "namespaces").Hub(), Name: "n",
		Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"team": "b"}}}}
	node := &request.Write{Operation: request.Create, Kind: kind("", "nodes"), Version: kind("", "nodes").Hub(), Name: "n", Object: &corev1.Node{}}
	pod := &request.Write{Operation: request.Create, Kind: kind("", "pods"), Version: kind("", "pods").Hub(), Subresource: "binding", Namespace: "web", Name: "x",
		Body: &corev1.Binding{ObjectMeta: meta}}
	scoped := func(s admissionregistrationv1.ScopeType) ruleOf {
		r := rule("*", "*", "*", "*")
		r.Scope = &s
		return r
	}
	only := rule("UPDATE", "apps", "v1", "deployments")
	only.ResourceNames = []string{"other"}
	equivalent, exact := admissionregistrationv1.Equivalent, admissionregistrationv1.Exact
	sel := func(k, v string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{k: v}}
	}
	type m = admissionregistrationv1.MatchResources
	for _, tc := range []struct {
		name string
		w    *request.Write
		m    m
		want string // the kind it matches as; empty: it does not
	}{
		{"same", deploy, m{ResourceRules: []ruleOf{rule("UPDATE", "apps", "v1", "deployments")}}, "apps/v1, Kind=Deployment"},
		{"other operation", deploy, m{ResourceRules: []ruleOf{rule("CREATE", "apps", "v1", "deployments")}}, ""},
		{"any", deploy, m{ResourceRules: []ruleOf{rule("*", "*", "*", "*")}}, "apps/v1, Kind=Deployment"},
		{"no rules mean all", deploy, m{}, "apps/v1, Kind=Deployment"},
		{"other name", deploy, m{ResourceRules: []ruleOf{only}}, ""},
		{"excluded", deploy, m{ResourceRules: []ruleOf{rule("*", "*", "*", "*")}, ExcludeResourceRules: []ruleOf{rule("*", "apps", "*", "*")}}, ""},
		{"star is not the subresources", &scale, m{ResourceRules: []ruleOf{rule("*", "*", "*", "*")}}, ""},
		{"a scale is about a Scale", &scale, m{ResourceRules: []ruleOf{rule("*", "*", "*", "*/scale")}}, "autoscaling/v1, Kind=Scale"},
		{"a scale by name", &scale, m{ResourceRules: []ruleOf{rule("*", "apps", "v1", "deployments/*")}}, "autoscaling/v1, Kind=Scale"},
		{"object selector", deploy, m{ObjectSelector: sel("app", "x")}, "apps/v1, Kind=Deployment"},
		{"object selector of another", deploy, m{ObjectSelector: sel("app", "y")}, ""},
		{"a deletion is selected by what there was", &remove, m{ObjectSelector: sel("app", "x")}, "apps/v1, Kind=Deployment"},
		{"namespace selector", deploy, m{NamespaceSelector: sel("team", "a")}, "apps/v1, Kind=Deployment"},
		{"namespace selector of another", deploy, m{NamespaceSelector: sel("team", "b")}, ""},
		{"no namespace", &lost, m{NamespaceSelector: sel("team", "a")}, "error"},
		{"no namespace, but other rules", &lost, m{NamespaceSelector: sel("team", "a"), ResourceRules: []ruleOf{rule("*", "", "v1", "pods")}}, ""},
		{"a namespace is selected by its own labels", ns, m{NamespaceSelector: sel("team", "b")}, "/v1, Kind=Namespace"},
		{"a namespace is in the cluster", ns, m{ResourceRules: []ruleOf{scoped(admissionregistrationv1.NamespacedScope)}}, ""},
		{"cluster scope", node, m{ResourceRules: []ruleOf{scoped(admissionregistrationv1.ClusterScope)}, NamespaceSelector: sel("team", "z")}, "/v1, Kind=Node"},
		{"cluster scope, namespaced object", deploy, m{ResourceRules: []ruleOf{scoped(admissionregistrationv1.ClusterScope)}}, ""},
		{"equivalent version", hpa, m{MatchPolicy: &equivalent, ResourceRules: []ruleOf{rule("*", "autoscaling", "v1", "*")}}, "autoscaling/v1, Kind=HorizontalPodAutoscaler"},
		{"exact version", hpa, m{MatchPolicy: &exact, ResourceRules: []ruleOf{rule("*", "autoscaling", "v1", "*")}}, ""},
		{"binding creates a Binding", pod, m{ResourceRules: []ruleOf{rule("CREATE", "", "v1", "pods/binding")}}, "/v1, Kind=Binding"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range []**metav1.LabelSelector{&tc.m.NamespaceSelector, &tc.m.ObjectSelector} {
				if *s == nil {
					*s = &metav1.LabelSelector{}
				}
			}
			r, err := Resources(&tc.m)
			if err != nil {
				t.Fatal(err)
			}
			as, ok, err := r.Match(Of(tc.w), find)
			got := ""
			switch {
			case apierrors.IsNotFound(err):
				got = "error"
			case err != nil:
				t.Fatal(err)
			case ok:
				got = as.Kind.String()
			}
			if got != tc.want {
				t.Errorf("matches as %q, want %q", got, tc.want)
			}
		})
	}
}

func TestVersioned(t *testing.T) {
	registry := api.NewRegistry(all.Kinds())
	k := registry.Resource(corev1.Resource("pods"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	target := Of(&request.Write{Operation: request.Create, Kind: k, Version: k.Hub(), Object: pod})
	obj, old, err := target.Versioned(asked(target))
	if err != nil || old != nil || obj.GetObjectKind().GroupVersionKind().Kind != "Pod" || pod.Kind != "" {
		t.Errorf("%v %v %v", obj, old, err)
	}
	deployments := registry.Resource(appsv1.Resource("deployments"))
	n := int32(3)
	target = Of(&request.Write{Operation: request.Update, Kind: deployments, Version: deployments.Hub(), Subresource: "scale",
		Object: &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &n}}, Old: &appsv1.Deployment{}})
	obj, _, err = target.Versioned(asked(target))
	if s, ok := obj.(*autoscalingv1.Scale); err != nil || !ok || s.Spec.Replicas != 3 || s.Kind != "Scale" {
		t.Errorf("%v %v", obj, err)
	}
}
