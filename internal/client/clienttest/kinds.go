package clienttest

import (
	"reflect"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// Registry holds the kinds that controllers work with, described just well enough for Fake: no defaults, no
// validation. Objects in such tests are complete as written.
func Registry() *api.Registry {
	core, apps, batch := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion
	return api.NewRegistry([]*api.Kind{
		pods(),
		kind[corev1.ReplicationController, corev1.ReplicationControllerList](core, true),
		kind[corev1.Service, corev1.ServiceList](core, true),
		kind[corev1.Endpoints, corev1.EndpointsList](core, true),
		kind[corev1.Node, corev1.NodeList](core, false),
		kind[corev1.Namespace, corev1.NamespaceList](core, false),
		kind[corev1.ConfigMap, corev1.ConfigMapList](core, true),
		kind[corev1.Secret, corev1.SecretList](core, true),
		kind[corev1.ServiceAccount, corev1.ServiceAccountList](core, true),
		kind[corev1.PersistentVolume, corev1.PersistentVolumeList](core, false),
		kind[corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](core, true),
		kind[corev1.ResourceQuota, corev1.ResourceQuotaList](core, true),
		kind[corev1.Event, corev1.EventList](core, true),
		kind[appsv1.Deployment, appsv1.DeploymentList](apps, true),
		kind[appsv1.ReplicaSet, appsv1.ReplicaSetList](apps, true),
		kind[appsv1.StatefulSet, appsv1.StatefulSetList](apps, true),
		kind[appsv1.DaemonSet, appsv1.DaemonSetList](apps, true),
		kind[appsv1.ControllerRevision, appsv1.ControllerRevisionList](apps, true),
		kind[batchv1.Job, batchv1.JobList](batch, true),
		kind[batchv1.CronJob, batchv1.CronJobList](batch, true),
		kind[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](discoveryv1.SchemeGroupVersion, true),
		kind[coordinationv1.Lease, coordinationv1.LeaseList](coordinationv1.SchemeGroupVersion, true),
		kind[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList](policyv1.SchemeGroupVersion, true),
		kind[rbacv1.ClusterRole, rbacv1.ClusterRoleList](rbacv1.SchemeGroupVersion, false),
		kind[storagev1.StorageClass, storagev1.StorageClassList](storagev1.SchemeGroupVersion, false),
		kind[admissionregistrationv1.ValidatingAdmissionPolicy, admissionregistrationv1.ValidatingAdmissionPolicyList](admissionregistrationv1.SchemeGroupVersion, false),
		kind[storagev1.VolumeAttributesClass, storagev1.VolumeAttributesClassList](storagev1.SchemeGroupVersion, false),
		kind[certificatesv1.CertificateSigningRequest, certificatesv1.CertificateSigningRequestList](certificatesv1.SchemeGroupVersion, false),
	})
}

type ptr[T any] interface {
	*T
	api.Object
}

type listPtr[L any] interface {
	*L
	runtime.Object
}

func kind[T, L any, P ptr[T], LP listPtr[L]](gv schema.GroupVersion, namespaced bool) *api.Kind {
	t := reflect.TypeFor[T]()
	k := &api.Kind{
		Kind: t.Name(), Resource: plural(strings.ToLower(t.Name())), Namespaced: namespaced,
		Versions: []api.Version{{
			Group: gv.Group, Version: gv.Version,
			New:     func() api.Object { return P(new(T)) },
			NewList: func() runtime.Object { return LP(new(L)) },
		}},
	}
	_, hasSpec := t.FieldByName("Spec")
	if _, ok := t.FieldByName("Status"); !ok || !hasSpec {
		return k
	}
	k.HasGeneration = gv.Group != "" || t.Name() == "ReplicationController"
	k.PrepareCreate = func(o api.Object) { half(o, "Status").SetZero() }
	k.PrepareUpdate = func(o, old api.Object) { half(o, "Status").Set(half(old, "Status")) }
	k.Subresources = []api.Subresource{{
		Name: "status", Verbs: []string{"get", "patch", "update"},
		Prepare: func(o, old api.Object) { half(o, "Spec").Set(half(old, "Spec")) },
	}}
	for _, name := range []string{"finalize", "approval"} {
		k.Subresources = append(k.Subresources, api.Subresource{Name: name, Verbs: []string{"update"}})
	}
	return k
}

func half(o api.Object, name string) reflect.Value {
	return reflect.ValueOf(o).Elem().FieldByName(name)
}

func plural(s string) string {
	switch {
	case s == "endpoints":
		return s
	case strings.HasSuffix(s, "s"):
		return s + "es"
	}
	return s + "s"
}

func pods() *api.Kind {
	k := kind[corev1.Pod, corev1.PodList](corev1.SchemeGroupVersion, true)
	k.Fields = map[string]func(api.Object) string{
		"spec.nodeName": func(o api.Object) string { return o.(*corev1.Pod).Spec.NodeName },
		"status.phase":  func(o api.Object) string { return string(o.(*corev1.Pod).Status.Phase) },
	}
	k.Graceful = func(o api.Object, requested *int64) int64 {
		p := o.(*corev1.Pod)
		switch {
		case p.Spec.NodeName == "" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded:
			return 0
		case requested != nil:
			return *requested
		case p.Spec.TerminationGracePeriodSeconds != nil:
			return *p.Spec.TerminationGracePeriodSeconds
		}
		return corev1.DefaultTerminationGracePeriodSeconds
	}
	return k
}
