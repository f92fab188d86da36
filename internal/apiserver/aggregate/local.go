package aggregate

import (
	"context"
	"errors"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/apiregistration"
)

// managed marks the APIServices that this server makes: "onstart" for what is built in, "true" for custom resources. One
// without the mark is somebody else's.
const managed = "kube-aggregator.kubernetes.io/automanaged"

// localChange is what it takes to make the local APIServices what they should be.
type localChange struct {
	create, update, remove []*apiregistrationv1.APIService
}

// wanted are the APIServices of what this server serves.
func wanted(kinds []*api.Kind) map[string]*apiregistrationv1.APIService {
	out := map[string]*apiregistrationv1.APIService{}
	for _, k := range kinds {
		for _, v := range k.Versions {
			gv := v.GroupVersion()
			name := gv.Version + "." + gv.Group
			if v.Unserved || out[name] != nil {
				continue
			}
			mark := "onstart"
			if k.Custom != nil {
				mark = "true"
			}
			g, n := apiregistration.Priority(gv, k.Custom != nil)
			out[name] = &apiregistrationv1.APIService{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{managed: mark}},
				Spec:       apiregistrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: g, VersionPriority: n},
			}
		}
	}
	return out
}

// planLocal compares with what there is. What somebody else made stays as it is.
func planLocal(want map[string]*apiregistrationv1.APIService, have []*apiregistrationv1.APIService) (c localChange) {
	seen := map[string]bool{}
	for _, h := range have {
		seen[h.Name] = true
		mark, w := h.Labels[managed], want[h.Name]
		switch {
		case mark != "onstart" && mark != "true":
		case w == nil:
			c.remove = append(c.remove, h)
		case h.Spec.Service != nil || h.Spec.GroupPriorityMinimum != w.Spec.GroupPriorityMinimum || h.Spec.VersionPriority != w.Spec.VersionPriority || mark != w.Labels[managed]:
			next := h.DeepCopy()
			next.Spec, next.Labels[managed] = w.Spec, w.Labels[managed]
			c.update = append(c.update, next)
		}
	}
	for name, w := range want {
		if !seen[name] {
			c.create = append(c.create, w)
		}
	}
	return c
}

// syncLocal makes the local APIServices what they should be, all at once, so that the store can put them into one
// transaction. One that fails does not keep the others from being made.
func (a *Aggregator) syncLocal(ctx context.Context, _ string) error {
	var have []*apiregistrationv1.APIService
	a.Reader.Each(a.kind, "", func(o api.Object) bool {
		have = append(have, o.(*apiregistrationv1.APIService))
		return true
	})
	c := planLocal(wanted(a.Reader.Registry().Kinds()), have)
	var wg sync.WaitGroup
	errs := make(chan error, len(c.create)+len(c.update)+len(c.remove))
	for _, s := range c.create {
		wg.Go(func() {
			_, err := a.services.Create(ctx, s)
			if apierrors.IsAlreadyExists(err) {
				err = nil
			}
			errs <- err
		})
	}
	for _, s := range c.update {
		wg.Go(func() {
			_, err := a.services.Update(ctx, s)
			errs <- ignoreGone(err)
		})
	}
	for _, s := range c.remove {
		wg.Go(func() {
			uid := s.UID
			errs <- ignoreGone(a.services.Delete(ctx, "", s.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}))
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
