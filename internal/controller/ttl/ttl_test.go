package ttl

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func job(name string, ttl int32, ended batchv1.JobConditionType) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if ttl >= 0 {
		j.Spec.TTLSecondsAfterFinished = &ttl
	}
	if ended != "" {
		// The bubble's clock starts at this time.
		at := metav1.NewTime(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
		j.Status.Conditions = []batchv1.JobCondition{{Type: ended, Status: corev1.ConditionTrue, LastTransitionTime: at}}
	}
	return j
}

func TestTTL(t *testing.T) {
	seed := []api.Object{job("now", 0, batchv1.JobFailed), job("soon", 60, batchv1.JobComplete), job("changed", 60, batchv1.JobComplete), job("runs", 0, ""), job("kept", -1, batchv1.JobComplete)}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		left := func() map[string]bool {
			out := map[string]bool{}
			for _, j := range test.List[*batchv1.Job](r) {
				out[j.Name] = j.DeletionTimestamp == nil
			}
			return out
		}
		if l := left(); l["now"] || !l["soon"] || !l["runs"] || !l["kept"] {
			t.Errorf("at first: %v", l)
		}
		test.Change(r, "ns", "changed", func(j *batchv1.Job) { *j.Spec.TTLSecondsAfterFinished = 3600 })
		r.Pass(time.Minute)
		if l := left(); l["soon"] || !l["changed"] || !l["runs"] || !l["kept"] {
			t.Errorf("after a minute: %v", l)
		}
		r.Pass(time.Hour)
		if l := left(); l["changed"] || !l["runs"] || !l["kept"] {
			t.Errorf("after an hour: %v", l)
		}
	})
}
