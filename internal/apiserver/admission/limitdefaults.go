package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const limitAnnotation = "kubernetes.io/limit-ranger"

// limitDefaults gives the containers of a new pod the requests and limits that the namespace's LimitRanges say.
func (z *world) limitDefaults(_ context.Context, w *request.Write) error {
	p := podOf(w, request.Create)
	if p == nil {
		return nil
	}
	for _, lr := range all[*corev1.LimitRange](z, "", "limitranges", w.Namespace) {
		requests, limits := containerDefaults(lr)
		if len(requests)+len(limits) == 0 {
			continue
		}
		var notes []string
		for i := range p.Spec.Containers {
			notes = append(notes, fillContainer(&p.Spec.Containers[i], "container", requests, limits)...)
		}
		for i := range p.Spec.InitContainers {
			notes = append(notes, fillContainer(&p.Spec.InitContainers[i], "init container", requests, limits)...)
		}
		if len(notes) > 0 {
			if p.Annotations == nil {
				p.Annotations = map[string]string{}
			}
			p.Annotations[limitAnnotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
		}
	}
	return nil
}

func containerDefaults(lr *corev1.LimitRange) (requests, limits corev1.ResourceList) {
	requests, limits = corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range lr.Spec.Limits {
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		for k, v := range item.DefaultRequest {
			requests[k] = v.DeepCopy()
		}
		for k, v := range item.Default {
			limits[k] = v.DeepCopy()
		}
	}
	return requests, limits
}

// fillContainer sets what is missing and says what it set.
func fillContainer(c *corev1.Container, what string, requests, limits corev1.ResourceList) (notes []string) {
	fill := func(have *corev1.ResourceList, defaults corev1.ResourceList, word string) {
		var set []string
		for k, v := range defaults {
			if _, ok := (*have)[k]; ok {
				continue
			}
			if *have == nil {
				*have = corev1.ResourceList{}
			}
			(*have)[k] = v.DeepCopy()
			set = append(set, string(k))
		}
		if len(set) > 0 {
			slices.Sort(set)
			notes = append(notes, fmt.Sprintf("%s %s for %s %s", strings.Join(set, ", "), word, what, c.Name))
		}
	}
	fill(&c.Resources.Requests, requests, "request")
	fill(&c.Resources.Limits, limits, "limit")
	return notes
}
