package core

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// eventValidate: what is wanted depends on whether the writer knows the newer fields (eventTime is set) or not.
func eventValidate(e *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	ip := field.NewPath("involvedObject", "namespace")
	if ns := e.InvolvedObject.Namespace; ns == "" {
		if e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem {
			errs = append(errs, field.Invalid(ip, ns, "does not match event.namespace"))
		}
	} else if ns != e.Namespace {
		errs = append(errs, field.Invalid(ip, ns, "does not match event.namespace"))
	}
	if e.EventTime.IsZero() {
		return errs
	}
	if e.ReportingController == "" {
		errs = append(errs, field.Required(field.NewPath("reportingController"), ""))
	} else {
		errs = append(errs, check.QualifiedName(field.NewPath("reportingController"), e.ReportingController)...)
	}
	errs = append(errs, check.Join(
		check.Present(field.NewPath("reportingInstance"), e.ReportingInstance),
		check.Present(field.NewPath("action"), e.Action),
		check.Present(field.NewPath("reason"), e.Reason))...)
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"reportingInstance", e.ReportingInstance, 128}, {"action", e.Action, 128}, {"reason", e.Reason, 128}, {"message", e.Message, 1024}} {
		if len(f.value) > f.limit {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", fmt.Sprintf("can have at most %d characters", f.limit)))
		}
	}
	return errs
}

func eventColumns() []metav1.TableColumnDefinition {
	d := corev1.Event{}.SwaggerDoc()
	wide := func(c metav1.TableColumnDefinition) metav1.TableColumnDefinition { return kit.Wide(c)[0] }
	return []metav1.TableColumnDefinition{
		kit.Column("Last Seen", d["lastTimestamp"]), kit.Column("Type", d["type"]), kit.Column("Reason", d["reason"]),
		kit.Column("Object", d["involvedObject"]),
		wide(kit.Column("Subobject", corev1.ObjectReference{}.SwaggerDoc()["fieldPath"])), wide(kit.Column("Source", d["source"])),
		kit.Column("Message", d["message"]),
		wide(kit.Column("First Seen", d["firstTimestamp"])), wide(kit.Column("Count", d["count"])), wide(kit.NameColumn()),
	}
}

func eventCells(e *corev1.Event, now time.Time) []any {
	micro := func(t metav1.MicroTime) string {
		if t.IsZero() {
			return "<unknown>"
		}
		return duration.HumanDuration(now.Sub(t.Time))
	}
	first := kit.Ago(e.FirstTimestamp, now)
	if e.FirstTimestamp.IsZero() {
		first = micro(e.EventTime)
	}
	last := kit.Ago(e.LastTimestamp, now)
	if e.LastTimestamp.IsZero() {
		last = first
	}
	count := max(e.Count, 1)
	if e.Series != nil {
		last, count = micro(e.Series.LastObservedTime), e.Series.Count
	}
	object := strings.ToLower(e.InvolvedObject.Kind)
	if e.InvolvedObject.Name != "" {
		object += "/" + e.InvolvedObject.Name
	}
	source := kit.Or(e.Source.Component, e.ReportingController)
	if host := kit.Or(e.Source.Host, e.ReportingInstance); host != "" {
		source += ", " + host
	}
	return []any{last, e.Type, e.Reason, object, e.InvolvedObject.FieldPath, source, strings.TrimSpace(e.Message), first, int64(count), e.Name}
}
