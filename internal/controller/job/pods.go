package job

import (
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/controller"
)

const finalizer = batchv1.JobTrackingFinalizer

func tracked(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, finalizer) }

// onlyFailed is whether a pod on its way out is replaced only once it has ended.
func onlyFailed(j *batchv1.Job) bool {
	return j.Spec.PodReplacementPolicy != nil && *j.Spec.PodReplacementPolicy == batchv1.Failed || j.Spec.PodFailurePolicy != nil
}

// failed counts a pod that is being deleted too, unless the job waits for its end.
func failed(j *batchv1.Job, p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || !onlyFailed(j) && p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded
}

func finished(p *corev1.Pod) time.Time {
	var last time.Time
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.FinishedAt.After(last) {
			last = t.FinishedAt.Time
		}
	}
	switch {
	case !last.IsZero():
		return last
	case p.DeletionTimestamp != nil:
		return p.DeletionTimestamp.Time
	}
	return p.CreationTimestamp.Time
}

const (
	backoffFirst = 10 * time.Second
	backoffLast  = 10 * time.Minute
)

// backoff is when the next pod may be made: failures since the last success double the time.
func backoff(j *batchv1.Job, pods []*corev1.Pod) time.Time {
	var success, failure time.Time
	for _, p := range pods {
		if at := finished(p); p.Status.Phase == corev1.PodSucceeded && at.After(success) {
			success = at
		}
	}
	n := 0
	for _, p := range pods {
		if at := finished(p); p.Status.Phase == corev1.PodFailed && at.After(success) {
			n++
			if at.After(failure) {
				failure = at
			}
		}
	}
	if n == 0 {
		return time.Time{}
	}
	wait := backoffLast
	if n < 8 {
		wait = min(backoffFirst<<(n-1), backoffLast)
	}
	return failure.Add(wait)
}

// failures of an index, as its pods remember them.
func failuresOf(pods []*corev1.Pod, index int) int {
	n := 0
	for _, p := range pods {
		if i, ok := indexOf(p); ok && i == index && p.Status.Phase == corev1.PodFailed {
			if had, err := strconv.Atoi(p.Annotations[batchv1.JobIndexFailureCountAnnotation]); err == nil {
				n = max(n, had+1)
			} else {
				n = max(n, 1)
			}
		}
	}
	return n
}

// newPod is a pod of j; index is -1 for jobs without.
func newPod(j *batchv1.Job, index, failures int) *corev1.Pod {
	p := controller.PodFrom(&j.Spec.Template, j.Namespace, controller.RefTo(j, kind))
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	for _, l := range []string{"job-name", batchv1.JobNameLabel} {
		p.Labels[l] = j.Name
	}
	for _, l := range []string{"controller-uid", batchv1.ControllerUidLabel} {
		p.Labels[l] = string(j.UID)
	}
	p.Finalizers = append(p.Finalizers, finalizer)
	if index < 0 {
		return p
	}
	n := strconv.Itoa(index)
	p.GenerateName = j.Name + "-" + n + "-"
	p.Labels[batchv1.JobCompletionIndexAnnotation] = n
	metav1.SetMetaDataAnnotation(&p.ObjectMeta, batchv1.JobCompletionIndexAnnotation, n)
	if j.Spec.BackoffLimitPerIndex != nil {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, batchv1.JobIndexFailureCountAnnotation, strconv.Itoa(failures))
	}
	if p.Spec.Hostname == "" {
		p.Spec.Hostname = j.Name + "-" + n
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].Env = indexEnv(list[i].Env)
		}
	}
	return p
}

const indexVariable = "JOB_COMPLETION_INDEX"

func indexEnv(in []corev1.EnvVar) []corev1.EnvVar {
	if slices.ContainsFunc(in, func(e corev1.EnvVar) bool { return e.Name == indexVariable }) {
		return in
	}
	return append(in, corev1.EnvVar{Name: indexVariable, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['" + batchv1.JobCompletionIndexAnnotation + "']"},
	}})
}

func uids(in []*corev1.Pod) map[types.UID]*corev1.Pod {
	out := make(map[types.UID]*corev1.Pod, len(in))
	for _, p := range in {
		out[p.UID] = p
	}
	return out
}
