package batch

import (
	batchv1 "k8s.io/api/batch/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CronJob of the group batch.
func CronJob() *api.Kind {
	halves := kit.Split(
		func(o *batchv1.CronJob) *batchv1.CronJobSpec { return &o.Spec },
		func(o *batchv1.CronJob) *batchv1.CronJobStatus { return &o.Status })
	return &api.Kind{
		Kind: "CronJob", Resource: "cronjobs",
		ShortNames:    []string{"cj"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[batchv1.CronJob, batchv1.CronJobList](batchv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
