package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// limitCheck holds new pods and claims against the namespace's LimitRanges.
func (z *world) limitCheck(_ context.Context, w *request.Write) error {
	pod := podOf(w, request.Create)
	if pod == nil && on(w, "", "pods", []string{"resize"}, request.Update) {
		pod, _ = w.Object.(*corev1.Pod)
	}
	var claim *corev1.PersistentVolumeClaim
	if on(w, "", "persistentvolumeclaims", self, request.Create, request.Update) {
		claim, _ = w.Object.(*corev1.PersistentVolumeClaim)
	}
	if pod == nil && claim == nil {
		return nil
	}
	var errs []error
	for _, lr := range all[*corev1.LimitRange](z, "", "limitranges", w.Namespace) {
		for i := range lr.Spec.Limits {
			item := &lr.Spec.Limits[i]
			switch {
			case claim != nil && item.Type == corev1.LimitTypePersistentVolumeClaim:
				errs = append(errs, checkLimits(item, claim.Spec.Resources.Requests, claim.Spec.Resources.Limits)...)
			case pod != nil && item.Type == corev1.LimitTypeContainer:
				for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
					for i := range list {
						errs = append(errs, checkLimits(item, list[i].Resources.Requests, list[i].Resources.Limits)...)
					}
				}
			case pod != nil && item.Type == corev1.LimitTypePod:
				requests, limits := podResources(&pod.Spec)
				errs = append(errs, checkLimits(item, requests, limits)...)
			}
		}
	}
	if len(errs) > 0 {
		return forbiddenErr(w, utilerrors.NewAggregate(errs))
	}
	return nil
}

func checkLimits(item *corev1.LimitRangeItem, requests, limits corev1.ResourceList) (errs []error) {
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(item.Min)) {
		add(checkMin(item.Type, k, item.Min[k], requests, limits))
	}
	for _, k := range slices.Sorted(maps.Keys(item.Max)) {
		// Claims have no limits in practice: what they request is what counts.
		add(checkMax(item.Type, k, item.Max[k], requests, limits))
	}
	for _, k := range slices.Sorted(maps.Keys(item.MaxLimitRequestRatio)) {
		add(checkRatio(item.Type, k, item.MaxLimitRequestRatio[k], requests, limits))
	}
	return errs
}

func checkMin(t corev1.LimitType, k corev1.ResourceName, min resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[k]
	limit, limited := limits[k]
	switch {
	case !asked:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", k, t, min.String())
	case request.Cmp(min) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", k, t, min.String(), request.String())
	case limited && limit.Cmp(min) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", k, t, min.String(), limit.String())
	}
	return nil
}

func checkMax(t corev1.LimitType, k corev1.ResourceName, max resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[k]
	limit, limited := limits[k]
	if t == corev1.LimitTypePersistentVolumeClaim {
		if asked && request.Cmp(max) > 0 {
			return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", k, t, max.String(), request.String())
		}
		return nil
	}
	switch {
	case !limited:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", k, t, max.String())
	case limit.Cmp(max) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", k, t, max.String(), limit.String())
	case asked && request.Cmp(max) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", k, t, max.String(), request.String())
	}
	return nil
}

func checkRatio(t corev1.LimitType, k corev1.ResourceName, max resource.Quantity, requests, limits corev1.ResourceList) error {
	request, limit := requests[k], limits[k]
	switch {
	case request.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", k, t, max.String())
	case limit.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", k, t, max.String())
	}
	if ratio := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); ratio > max.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", k, t, max.String(), ratio)
	}
	return nil
}
