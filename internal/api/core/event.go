package core

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Event is served in "" and in events.k8s.io, with other field names, and stored once as core/v1.
func Event() *api.Kind {
	newer := kit.Served[eventsv1.Event, eventsv1.EventList](eventsv1.SchemeGroupVersion)
	newer.FromHub, newer.ToHub = eventToEventsV1, eventFromEventsV1
	return &api.Kind{
		Kind: "Event", Resource: "events",
		ShortNames: []string{"ev"},
		Namespaced: true,
		Versions: []api.Version{
			kit.Served[corev1.Event, corev1.EventList](corev1.SchemeGroupVersion),
			newer,
		},
		CreateOnUpdate: true,
		Validate:       kit.To(eventValidate),
		Fields:         eventFields(),
		Columns:        eventColumns(),
		Cells:          kit.Cells(eventCells),
	}
}

// eventFields are the selectable fields under the names of both groups.
func eventFields() map[string]func(api.Object) string {
	out := map[string]func(api.Object) string{}
	for _, f := range []struct {
		core, newer string
		get         func(*corev1.Event) string
	}{
		{"involvedObject.kind", "regarding.kind", func(e *corev1.Event) string { return e.InvolvedObject.Kind }},
		{"involvedObject.namespace", "regarding.namespace", func(e *corev1.Event) string { return e.InvolvedObject.Namespace }},
		{"involvedObject.name", "regarding.name", func(e *corev1.Event) string { return e.InvolvedObject.Name }},
		{"involvedObject.uid", "regarding.uid", func(e *corev1.Event) string { return string(e.InvolvedObject.UID) }},
		{"involvedObject.apiVersion", "regarding.apiVersion", func(e *corev1.Event) string { return e.InvolvedObject.APIVersion }},
		{"involvedObject.resourceVersion", "regarding.resourceVersion", func(e *corev1.Event) string { return e.InvolvedObject.ResourceVersion }},
		{"involvedObject.fieldPath", "regarding.fieldPath", func(e *corev1.Event) string { return e.InvolvedObject.FieldPath }},
		{"reason", "reason", func(e *corev1.Event) string { return e.Reason }},
		{"reportingComponent", "reportingController", func(e *corev1.Event) string { return e.ReportingController }},
		{"source", "source", eventSource},
		{"type", "type", func(e *corev1.Event) string { return e.Type }},
	} {
		get := kit.To(f.get)
		out[f.core], out[f.newer] = get, get
	}
	return out
}

// eventSource is who reported, by the older field or the newer one.
func eventSource(e *corev1.Event) string {
	if e.Source.Component != "" {
		return e.Source.Component
	}
	return e.ReportingController
}
