package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	"strconv"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Job of the group batch.
func Job() *api.Kind {
	halves := kit.Split(
		func(o *batchv1.Job) *batchv1.JobSpec { return &o.Spec },
		func(o *batchv1.Job) *batchv1.JobStatus { return &o.Status })
	return &api.Kind{
		Kind: "Job", Resource: "jobs",
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[batchv1.Job, batchv1.JobList](batchv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"status.successful": kit.To(func(o *batchv1.Job) string { return strconv.Itoa(int(o.Status.Succeeded)) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
