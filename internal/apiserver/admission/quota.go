package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	quotamath "github.com/dhow-project/dhow/internal/api/quota"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// quota holds writes against the namespace's ResourceQuotas and charges them. The charge is a
// conditional update of the quota's status; whoever loses looks again. A charge for a write that
// fails later is given back by the controller that counts anew.
type quota struct {
	*world
	update func(context.Context, *corev1.ResourceQuota) error
}

// quotaTries bounds how often a contended charge is tried again.
const quotaTries = 32

func (z *quota) check(ctx context.Context, w *request.Write) error {
	if w.Namespace == "" || w.Object == nil || w.Operation == request.Delete || w.Operation == request.Connect ||
		w.Subresource != "" && !(w.Kind.Resource == "pods" && w.Subresource == "resize") {
		return nil
	}
	if w.Operation == request.Update && !quotaOnUpdate(w) {
		return nil
	}
	for _, q := range all[*corev1.ResourceQuota](z, "", "resourcequotas", w.Namespace) {
		if err := z.one(ctx, w, q); err != nil {
			return err
		}
	}
	return nil
}

func quotaOnUpdate(w *request.Write) bool {
	if w.Kind.Hub().Group != "" {
		return false
	}
	return w.Kind.Resource == "services" || w.Kind.Resource == "persistentvolumeclaims" || w.Kind.Resource == "pods" && w.Subresource == "resize"
}

// one checks and charges one quota.
func (z *quota) one(ctx context.Context, w *request.Write, q *corev1.ResourceQuota) error {
	name := q.Name
	for range quotaTries {
		if !quotamath.InScope(q, w.Object) {
			return nil
		}
		usage := quotamath.Usage(w.Kind, w.Object, time.Now())
		if p, ok := w.Object.(*corev1.Pod); ok {
			if missing := unspecified(p, q.Status.Hard); len(missing) > 0 {
				return forbidden(w, "failed quota: %s: must specify %s", q.Name, strings.Join(missing, "; "))
			}
		}
		if w.Old != nil && w.Operation == request.Update && quotamath.InScope(q, w.Old) {
			for k, v := range quotamath.Usage(w.Kind, w.Old, time.Now()) {
				have := usage[k]
				have.Sub(v)
				usage[k] = have
			}
		}
		next, err := charge(w, q, usage)
		if next == nil || err != nil {
			return err
		}
		if z.update == nil || w.DryRun {
			return nil
		}
		err = z.update(ctx, next)
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("charge quota %s: %w", name, err)
		}
		var ok bool
		if q, ok = find[*corev1.ResourceQuota](z, "", "resourcequotas", w.Namespace, name); !ok {
			return nil
		}
	}
	return apierrors.NewConflict(corev1.Resource("resourcequotas"), name, fmt.Errorf("quota is contended, try again"))
}

// charge is q with the usage added; nil when it is not concerned, an error when it is exceeded.
func charge(w *request.Write, q *corev1.ResourceQuota, usage corev1.ResourceList) (*corev1.ResourceQuota, error) {
	requested, used, limited := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	var next *corev1.ResourceQuota
	for k, hard := range q.Status.Hard {
		delta, ok := usage[k]
		if !ok || delta.IsZero() {
			continue
		}
		if next == nil {
			next = q.DeepCopy()
			if next.Status.Used == nil {
				next.Status.Used = corev1.ResourceList{}
			}
		}
		have := q.Status.Used[k]
		sum := have.DeepCopy()
		sum.Add(delta)
		next.Status.Used[k] = sum
		if delta.Sign() > 0 && sum.Cmp(hard) > 0 {
			requested[k], used[k], limited[k] = delta, have, hard
		}
	}
	if len(limited) > 0 {
		return nil, forbidden(w, "exceeded quota: %s, requested: %s, used: %s, limited: %s", q.Name, show(requested), show(used), show(limited))
	}
	return next, nil
}

// show writes a list as upstream does: cpu=1,pods=2.
func show(l corev1.ResourceList) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(l)) {
		v := l[k]
		out = append(out, string(k)+"="+v.String())
	}
	return strings.Join(out, ",")
}

// unspecified is what a quota on compute resources forces a pod's containers to say and they do not.
func unspecified(p *corev1.Pod, hard corev1.ResourceList) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(hard)) {
		base, limit, ok := computeName(k)
		if !ok || base != corev1.ResourceCPU && base != corev1.ResourceMemory {
			continue
		}
		var names []string
		for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for i := range list {
				from := list[i].Resources.Requests
				if limit {
					from = list[i].Resources.Limits
				}
				if _, ok := from[base]; !ok && !podLevel(&p.Spec, base, limit) {
					names = append(names, list[i].Name)
				}
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			out = append(out, fmt.Sprintf("%s for: %s", k, strings.Join(names, ",")))
		}
	}
	return out
}

func podLevel(s *corev1.PodSpec, k corev1.ResourceName, limit bool) bool {
	if s.Resources == nil {
		return false
	}
	from := s.Resources.Requests
	if limit {
		from = s.Resources.Limits
	}
	_, ok := from[k]
	return ok
}

// computeName takes apart cpu, requests.cpu and limits.cpu.
func computeName(k corev1.ResourceName) (base corev1.ResourceName, limit, ok bool) {
	if r, found := strings.CutPrefix(string(k), "requests."); found {
		return corev1.ResourceName(r), false, true
	}
	if r, found := strings.CutPrefix(string(k), "limits."); found {
		return corev1.ResourceName(r), true, true
	}
	return k, false, k == corev1.ResourceCPU || k == corev1.ResourceMemory || k == corev1.ResourceEphemeralStorage
}
