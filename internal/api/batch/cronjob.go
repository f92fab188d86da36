package batch

import (
	"regexp"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/cron"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// CronJob of the group batch.
func CronJob() *api.Kind {
	halves := kit.Split(
		func(o *batchv1.CronJob) *batchv1.CronJobSpec { return &o.Spec },
		func(o *batchv1.CronJob) *batchv1.CronJobStatus { return &o.Status })
	spec, status := batchv1.CronJobSpec{}.SwaggerDoc(), batchv1.CronJobStatus{}.SwaggerDoc()
	return &api.Kind{
		Kind: "CronJob", Resource: "cronjobs",
		ShortNames:     []string{"cj"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[batchv1.CronJob, batchv1.CronJobList](batchv1.SchemeGroupVersion)},
		HasGeneration:  true,
		Default:        kit.On(cronJobDefault),
		PrepareCreate:  halves.ClearStatus,
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(cronJobValidate),
		ValidateCreate: kit.To(cronJobNew),
		ValidateUpdate: kit.ToBoth(func(o, old *batchv1.CronJob) field.ErrorList {
			if zone := o.Spec.TimeZone; zone != nil && (old.Spec.TimeZone == nil || *old.Spec.TimeZone != *zone) {
				return timeZone(field.NewPath("spec", "timeZone"), *zone)
			}
			return nil
		}),
		Subresources: []api.Subresource{halves.StatusSub()},
		Columns: append(kit.Columns(
			kit.Column("Schedule", spec["schedule"]), kit.Column("Timezone", spec["timeZone"]), kit.Bool("Suspend", spec["suspend"]),
			kit.Int("Active", status["active"]), kit.Column("Last Schedule", status["lastScheduleTime"]),
		), kit.ContainerColumns(batchv1.JobSpec{}.SwaggerDoc()["selector"])...),
		Cells: kit.Cells(cronJobCells),
	}
}

func cronJobDefault(o *batchv1.CronJob) {
	s := &o.Spec
	poddefault.SetZero(&s.ConcurrencyPolicy, batchv1.AllowConcurrent)
	poddefault.Set(&s.Suspend, false)
	poddefault.Set(&s.SuccessfulJobsHistoryLimit, 3)
	poddefault.Set(&s.FailedJobsHistoryLimit, 1)
	// Its jobs get the rest when they are made.
	poddefault.Spec(&s.JobTemplate.Spec.Template.Spec)
}

func cronJobValidate(o *batchv1.CronJob) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	sp, jp := p.Child("schedule"), p.Child("jobTemplate", "spec")
	errs := check.Present(sp, s.Schedule)
	if s.Schedule != "" {
		if strings.Contains(s.Schedule, "TZ") {
			errs = append(errs, field.Invalid(sp, s.Schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
		} else if _, err := cron.Parse(s.Schedule); err != nil {
			errs = append(errs, field.Invalid(sp, s.Schedule, err.Error()))
		}
	}
	errs = append(errs, check.Join(
		check.OptionalNonNegative(p.Child("startingDeadlineSeconds"), s.StartingDeadlineSeconds),
		check.OneOf(p.Child("concurrencyPolicy"), s.ConcurrencyPolicy, batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent),
		jobSpec(jp, &s.JobTemplate.Spec),
		check.OptionalNonNegative(p.Child("successfulJobsHistoryLimit"), s.SuccessfulJobsHistoryLimit),
		check.OptionalNonNegative(p.Child("failedJobsHistoryLimit"), s.FailedJobsHistoryLimit),
	)...)
	if s.JobTemplate.Spec.Selector != nil {
		errs = append(errs, field.Invalid(jp.Child("selector"), s.JobTemplate.Spec.Selector, "`selector` will be auto-generated"))
	}
	if m := s.JobTemplate.Spec.ManualSelector; m != nil && *m {
		errs = append(errs, field.NotSupported(jp.Child("manualSelector"), m, []string{"nil", "false"}))
	}
	return errs
}

func cronJobNew(o *batchv1.CronJob) field.ErrorList {
	var errs field.ErrorList
	if len(o.Name) > 52 { // jobs are named for it, with 11 characters more
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, "must be no more than 52 characters"))
	}
	if o.Spec.TimeZone != nil {
		errs = append(errs, timeZone(field.NewPath("spec", "timeZone"), *o.Spec.TimeZone)...)
	}
	return errs
}

// The characters of a part of a name: https://data.iana.org/time-zones/theory.html#naming
var zonePart = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$`) })

func timeZone(p *field.Path, zone string) field.ErrorList {
	if zone == "" {
		return check.One(field.Invalid(p, zone, "timeZone must be nil or non-empty string"))
	}
	for part := range strings.SplitSeq(zone, "/") {
		if part == "." || part == ".." || !zonePart().MatchString(part) {
			return check.One(field.Invalid(p, zone, "unknown time zone "+zone))
		}
	}
	if strings.EqualFold(zone, "Local") {
		return check.One(field.Invalid(p, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return check.One(field.Invalid(p, zone, err.Error()))
	}
	return nil
}

func cronJobCells(o *batchv1.CronJob, now time.Time) []any {
	last := "<none>"
	if t := o.Status.LastScheduleTime; t != nil {
		last = kit.Ago(*t, now)
	}
	suspend := "<unset>"
	if o.Spec.Suspend != nil {
		suspend = map[bool]string{true: "True", false: "False"}[*o.Spec.Suspend]
	}
	names, images := kit.Images(o.Spec.JobTemplate.Spec.Template.Spec.Containers)
	return []any{o.Name, o.Spec.Schedule, kit.Deref(o.Spec.TimeZone, "<none>"), suspend, int64(len(o.Status.Active)), last,
		kit.Age(o, now), names, images, metav1.FormatLabelSelector(o.Spec.JobTemplate.Spec.Selector)}
}
