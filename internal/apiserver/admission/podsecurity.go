package admission

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// podSecurity enforces the Pod Security Standards that a namespace's labels ask for; without labels
// everything is privileged.
type podSecurity struct {
	*world
	evaluator func() (policy.Evaluator, error)
}

func newPodSecurity(w *world) *podSecurity {
	return &podSecurity{w, sync.OnceValues(func() (policy.Evaluator, error) {
		newest := psa.MajorMinorVersion(1, 36)
		return policy.NewEvaluator(policy.DefaultChecks(), &newest)
	})}
}

// makesPods reports whether a kind is a pod or holds the template of one.
func makesPods(k *api.Kind) bool {
	switch k.Hub().Group + "/" + k.Resource {
	case "/pods", "/replicationcontrollers", "/podtemplates", "apps/replicasets", "apps/deployments",
		"apps/statefulsets", "apps/daemonsets", "batch/jobs", "batch/cronjobs":
		return true
	}
	return false
}

func (z *podSecurity) check(_ context.Context, w *request.Write) error {
	if w.Operation != request.Create && w.Operation != request.Update || !makesPods(w.Kind) ||
		w.Subresource != "" && w.Subresource != "ephemeralcontainers" && w.Subresource != "resize" {
		return nil
	}
	ns, ok := find[*corev1.Namespace](z, "", "namespaces", "", w.Namespace)
	if !ok {
		return nil // NamespaceLifecycle answered that
	}
	privileged := psa.LevelVersion{Level: psa.LevelPrivileged, Version: psa.LatestVersion()}
	p, errs := psa.PolicyToEvaluate(ns.Labels, psa.Policy{Enforce: privileged, Audit: privileged, Warn: privileged})
	if len(errs) == 0 && p.FullyPrivileged() {
		return nil
	}
	meta, spec := podParts(w.Object)
	if spec == nil {
		return nil
	}
	if w.Old != nil {
		if _, old := podParts(w.Old); equality.Semantic.DeepEqual(old, spec) {
			return nil
		}
	}
	evaluator, err := z.evaluator()
	if err != nil {
		return fmt.Errorf("prepare pod security checks: %w", err)
	}
	if w.Kind.Resource == "pods" {
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(p.Enforce, meta, spec)); !r.Allowed {
			return forbidden(w, "violates PodSecurity %q: %s", p.Enforce.String(), r.ForbiddenDetail())
		}
		if p.Warn == p.Enforce {
			return nil
		}
	}
	if r := policy.AggregateCheckResults(evaluator.EvaluatePod(p.Warn, meta, spec)); !r.Allowed {
		w.Warnings = append(w.Warnings, fmt.Sprintf("would violate PodSecurity %q: %s", p.Warn.String(), r.ForbiddenDetail()))
	}
	return nil
}

// podParts finds the pod in a pod or in what makes pods.
func podParts(o api.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	template := func(t *corev1.PodTemplateSpec) (*metav1.ObjectMeta, *corev1.PodSpec) {
		if t == nil {
			return nil, nil
		}
		return &t.ObjectMeta, &t.Spec
	}
	switch o := o.(type) {
	case *corev1.Pod:
		return &o.ObjectMeta, &o.Spec
	case *corev1.PodTemplate:
		return template(&o.Template)
	case *corev1.ReplicationController:
		return template(o.Spec.Template)
	case *appsv1.ReplicaSet:
		return template(&o.Spec.Template)
	case *appsv1.Deployment:
		return template(&o.Spec.Template)
	case *appsv1.StatefulSet:
		return template(&o.Spec.Template)
	case *appsv1.DaemonSet:
		return template(&o.Spec.Template)
	case *batchv1.Job:
		return template(&o.Spec.Template)
	case *batchv1.CronJob:
		return template(&o.Spec.JobTemplate.Spec.Template)
	}
	return nil, nil
}
