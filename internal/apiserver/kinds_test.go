package apiserver_test

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
)

// ver describes a version by two samples of its types.
func ver(gv schema.GroupVersion, obj api.Object, list runtime.Object) api.Version {
	return api.Version{
		Group: gv.Group, Version: gv.Version,
		New:     func() api.Object { return obj.DeepCopyObject().(api.Object) },
		NewList: func() runtime.Object { return list.DeepCopyObject() },
	}
}

var rw = []string{"get", "patch", "update"}

// testKinds are few kinds that together use everything a Kind can say.
func testKinds() []*api.Kind {
	core := corev1.SchemeGroupVersion
	events := &api.Kind{Kind: "Event", Resource: "events", ShortNames: []string{"ev"}, Namespaced: true,
		Versions: []api.Version{ver(core, &corev1.Event{}, &corev1.EventList{}), ver(eventsv1.SchemeGroupVersion, &eventsv1.Event{}, &eventsv1.EventList{})}}
	events.Versions[1].FromHub = func(o api.Object) (api.Object, error) {
		e := o.(*corev1.Event)
		return &eventsv1.Event{ObjectMeta: e.ObjectMeta, Reason: e.Reason, Note: e.Message, Regarding: e.InvolvedObject, Type: e.Type}, nil
	}
	events.Versions[1].ToHub = func(o api.Object) (api.Object, error) {
		e := o.(*eventsv1.Event)
		return &corev1.Event{ObjectMeta: e.ObjectMeta, Reason: e.Reason, Message: e.Note, InvolvedObject: e.Regarding, Type: e.Type}, nil
	}
	return []*api.Kind{
		{Kind: "ConfigMap", Resource: "configmaps", ShortNames: []string{"cm"}, Namespaced: true,
			Versions: []api.Version{ver(core, &corev1.ConfigMap{}, &corev1.ConfigMapList{})}},
		{Kind: "Namespace", Resource: "namespaces", ShortNames: []string{"ns"},
			Versions: []api.Version{ver(core, &corev1.Namespace{}, &corev1.NamespaceList{})},
			PrepareCreate: func(o api.Object) {
				ns := o.(*corev1.Namespace)
				if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
					ns.Spec.Finalizers = append(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
				}
				ns.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
			},
			Subresources: []api.Subresource{{Name: "finalize", Verbs: []string{"update"}, Prepare: func(obj, old api.Object) {
				obj.(*corev1.Namespace).Status = old.(*corev1.Namespace).Status
			}}}},
		podKind(), deploymentKind(), events,
		{Kind: "PodDisruptionBudget", Resource: "poddisruptionbudgets", Namespaced: true, HasGeneration: true,
			Versions:     []api.Version{ver(policyv1.SchemeGroupVersion, &policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{})},
			Subresources: []api.Subresource{{Name: "status", Verbs: rw}}},
	}
}

func podKind() *api.Kind {
	return &api.Kind{
		Kind: "Pod", Resource: "pods", ShortNames: []string{"po"}, Categories: []string{"all"}, Namespaced: true,
		Versions: []api.Version{ver(corev1.SchemeGroupVersion, &corev1.Pod{}, &corev1.PodList{})},
		Default: func(o api.Object) {
			p := o.(*corev1.Pod)
			if p.Spec.RestartPolicy == "" {
				p.Spec.RestartPolicy = corev1.RestartPolicyAlways
			}
		},
		PrepareCreate: func(o api.Object) { o.(*corev1.Pod).Status = corev1.PodStatus{Phase: corev1.PodPending} },
		PrepareUpdate: func(o, old api.Object) { o.(*corev1.Pod).Status = old.(*corev1.Pod).Status },
		Validate: func(o api.Object) (errs field.ErrorList) {
			if len(o.(*corev1.Pod).Spec.Containers) == 0 {
				errs = append(errs, field.Required(field.NewPath("spec", "containers"), ""))
			}
			return errs
		},
		Graceful: func(o api.Object, requested *int64) int64 {
			switch {
			case o.(*corev1.Pod).Spec.NodeName == "":
				return 0
			case requested != nil:
				return *requested
			}
			return 30
		},
		Warnings: func(obj, _ api.Object) []string {
			if obj.GetLabels()["warn"] != "" {
				return []string{`label "warn" is set`}
			}
			return nil
		},
		Subresources: []api.Subresource{
			{Name: "status", Verbs: rw, Prepare: func(o, old api.Object) { o.(*corev1.Pod).Spec = old.(*corev1.Pod).Spec }},
			{Name: "binding", Verbs: []string{"create"}},
			{Name: "eviction", Verbs: []string{"create"}},
			{Name: "log", Verbs: []string{"get"}},
			{Name: "exec", Verbs: []string{"create", "get"}},
		},
		Columns: []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name"}, {Name: "Status", Type: "string"}},
		Cells: func(o api.Object, _ time.Time) []any {
			return []any{o.GetName(), fmt.Sprint(o.(*corev1.Pod).Status.Phase)}
		},
		Fields: map[string]func(api.Object) string{"spec.nodeName": func(o api.Object) string { return o.(*corev1.Pod).Spec.NodeName }},
	}
}

func deploymentKind() *api.Kind {
	return &api.Kind{
		Kind: "Deployment", Resource: "deployments", ShortNames: []string{"deploy"}, Namespaced: true, HasGeneration: true,
		Versions:      []api.Version{ver(appsv1.SchemeGroupVersion, &appsv1.Deployment{}, &appsv1.DeploymentList{})},
		PrepareCreate: func(o api.Object) { o.(*appsv1.Deployment).Status = appsv1.DeploymentStatus{} },
		PrepareUpdate: func(o, old api.Object) { o.(*appsv1.Deployment).Status = old.(*appsv1.Deployment).Status },
		Subresources: []api.Subresource{
			{Name: "status", Verbs: rw, Prepare: func(o, old api.Object) { o.(*appsv1.Deployment).Spec = old.(*appsv1.Deployment).Spec }},
			{Name: "scale", Verbs: rw, Body: &schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}, Scale: &api.Scale{
				Get: func(o api.Object) *autoscalingv1.Scale {
					s := &autoscalingv1.Scale{}
					if r := o.(*appsv1.Deployment).Spec.Replicas; r != nil {
						s.Spec.Replicas = *r
					}
					return s
				},
				Set: func(o api.Object, n int32) { o.(*appsv1.Deployment).Spec.Replicas = &n },
			}},
		},
	}
}
