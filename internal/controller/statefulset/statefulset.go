package statefulset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

var ( // never changed
	kind    = appsv1.SchemeGroupVersion.WithKind("StatefulSet")
	podKind = corev1.SchemeGroupVersion.WithKind("Pod")
)

// Controller of StatefulSets. Use New.
type Controller struct {
	*controller.Loop
	sets      client.Cache[*appsv1.StatefulSet]
	pods      *controller.Pods
	claims    client.Cache[*corev1.PersistentVolumeClaim]
	api       client.Client[*appsv1.StatefulSet]
	claimAPI  client.Client[*corev1.PersistentVolumeClaim]
	revisions controller.Revisions
	failing   controller.Backoff
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		sets: client.CacheOf[*appsv1.StatefulSet](d.Caches), claims: client.CacheOf[*corev1.PersistentVolumeClaim](d.Caches),
		api: client.For[*appsv1.StatefulSet](d.Conn), claimAPI: client.For[*corev1.PersistentVolumeClaim](d.Conn),
		revisions: controller.NewRevisions(d, kind),
		failing:   controller.Backoff{First: time.Second, Last: time.Minute},
	}
	c.Loop = controller.NewLoop(d, "statefulset-controller", c.sync)
	c.pods = controller.NewPods(d, c.Loop, kind)
	c.pods.Tell = c.tellPod
	controller.Changed(c.Loop, c.sets)
	c.pods.Subscribe(c.podChanged)
	c.claims.Subscribe(c.claimChanged)
	return c
}

// podChanged wakes a set whose pod it is by name only: the name may be wanted, or the pod adopted.
func (c *Controller) podChanged(old, p *corev1.Pod) {
	if p == nil {
		p = old
	}
	if set, _ := parent(p.Name); set != "" {
		if s, ok := c.sets.Get(p.Namespace, set); ok {
			c.AddObject(s)
		}
	}
}

// claimChanged wakes sets that wait for a former claim to go, or that lost one.
func (c *Controller) claimChanged(old, claim *corev1.PersistentVolumeClaim) {
	if old == nil || claim != nil && equality.Semantic.DeepEqual(old.OwnerReferences, claim.OwnerReferences) && (old.DeletionTimestamp == nil) == (claim.DeletionTimestamp == nil) {
		return
	}
	rest, _ := parent(old.Name)
	for _, s := range c.sets.In(old.Namespace) {
		if len(s.Spec.VolumeClaimTemplates) > 0 && strings.HasSuffix(rest, "-"+s.Name) {
			c.AddObject(s)
		}
	}
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	set, ok := c.sets.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		c.Log().Warn("selector is invalid", "key", key, "err", err)
		return nil
	}
	alive := controller.Alive(ctx, c.api, set)
	pods, err := c.claimed(set, selector).Settle(ctx, c.pods.API, controller.RefTo(set, kind), alive)
	if err != nil {
		return err
	}
	history, err := c.revisions.Of(ctx, set, selector, alive)
	if err != nil {
		return err
	}
	v, collisions, err := c.look(ctx, set, history, pods)
	if err != nil {
		return err
	}
	behind := c.pods.Behind(key)
	if behind { // nothing will be tried
		v.hold = func(*corev1.Pod) time.Duration { return 0 }
	}
	p := decide(v)
	p.status.CollisionCount = collisions
	if !behind {
		if err = c.apply(ctx, set, p); p.again > 0 {
			c.AddAfter(key, p.again)
		}
	}
	return errors.Join(err, c.writeStatus(ctx, set, p.status), c.forget(ctx, set, history, pods, p.status))
}

// claimed is set's claim of pods: those with other names are not its own.
func (c *Controller) claimed(set *appsv1.StatefulSet, s labels.Selector) controller.Claim[*corev1.Pod] {
	claim := controller.Owned(c.pods.Cache, set, s)
	if set.DeletionTimestamp != nil {
		return claim
	}
	out := controller.Claim[*corev1.Pod]{Release: claim.Release}
	for _, p := range claim.Mine {
		if of, _ := parent(p.Name); of == set.Name {
			out.Mine = append(out.Mine, p)
		} else {
			out.Release = append(out.Release, p)
		}
	}
	for _, p := range claim.Adopt {
		if of, _ := parent(p.Name); of == set.Name {
			out.Adopt = append(out.Adopt, p)
		}
	}
	return out
}

// look gathers what a plan needs.
func (c *Controller) look(ctx context.Context, set *appsv1.StatefulSet, history []*appsv1.ControllerRevision, pods []*corev1.Pod) (view, *int32, error) {
	collisions := set.Status.CollisionCount
	if collisions == nil {
		collisions = new(int32)
	}
	var newest *appsv1.ControllerRevision
	var err error
	if set.DeletionTimestamp == nil || len(history) == 0 {
		newest, collisions, err = c.revisions.Newest(ctx, set, &set.Spec.Template, history, collisions)
	} else {
		newest = history[len(history)-1]
	}
	if err != nil {
		return view{}, collisions, err
	}
	mine := map[string]bool{}
	for _, p := range pods {
		mine[p.Name] = true
	}
	v := view{set: set, pods: pods, now: time.Now(), update: revision{newest.Name, &set.Spec.Template}}
	v.current = v.update
	for _, r := range history {
		if r.Name == set.Status.CurrentRevision && r.Name != newest.Name {
			t, err := controller.RevisionTemplate(r)
			if err != nil {
				return v, collisions, err
			}
			v.current = revision{r.Name, t}
		}
	}
	v.claim = func(name string) *corev1.PersistentVolumeClaim {
		claim, _ := c.claims.Get(set.Namespace, name)
		return claim
	}
	v.taken = func(name string) bool {
		_, ok := c.pods.Get(set.Namespace, name)
		return ok && !mine[name]
	}
	v.hold = func(p *corev1.Pod) time.Duration {
		return c.failing.Try(string(set.UID)+"/"+p.Name, v.now)
	}
	return v, collisions, nil
}

func (c *Controller) apply(ctx context.Context, set *appsv1.StatefulSet, p plan) error {
	for _, name := range p.conflicts {
		c.Event(set, corev1.EventTypeWarning, "ConflictingController", "PersistentVolumeClaim %s has a conflicting OwnerReference that acts as a managing controller, the retention policy is ignored for this claim", name)
	}
	for _, claim := range p.reown {
		if _, err := c.claimAPI.Update(ctx, claim); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("write owners of claim %s: %w", claim.Name, err)
		}
	}
	for _, claim := range p.claims {
		if err := c.createClaim(ctx, set, claim); err != nil {
			return err
		}
	}
	if _, err := controller.SlowStart(len(p.create), func(i int) error { return c.pods.Create(ctx, set, p.create[i]) }); err != nil {
		return err
	}
	for _, pod := range p.label {
		_, err := c.pods.API.Update(ctx, pod)
		if c.tell(set, "Update", "Pod "+pod.Name, err); err != nil {
			return fmt.Errorf("label pod %s: %w", pod.Name, err)
		}
	}
	_, err := controller.Parallel(len(p.remove), func(i int) error { return c.remove(ctx, set, p.remove[i]) })
	return err
}

// tell records what was done, in upstream's words.
func (c *Controller) tell(set api.Object, verb, object string, err error) {
	if err == nil {
		c.Event(set, corev1.EventTypeNormal, "Successful"+verb, "%s %s in StatefulSet %s successful", verb, object, set.GetName())
		return
	}
	c.Event(set, corev1.EventTypeWarning, "Failed"+verb, "%s %s in StatefulSet %s failed error: %v", verb, object, set.GetName(), err)
}

func (c *Controller) createClaim(ctx context.Context, set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) error {
	_, err := c.claimAPI.Create(ctx, claim)
	if apierrors.IsAlreadyExists(err) { // the cache has yet to see it
		return nil
	}
	if c.tell(set, "Create", "Claim "+claim.Name, err); err != nil {
		return fmt.Errorf("create claim %s: %w", claim.Name, err)
	}
	return nil
}

// tellPod is tell for pods. That the name of a pod is taken is no news: the cache has yet to see who has it.
func (c *Controller) tellPod(set api.Object, verb string, p *corev1.Pod, err error) {
	if !apierrors.IsAlreadyExists(err) {
		c.tell(set, verb, "Pod "+p.Name, err)
	}
}

func (c *Controller) remove(ctx context.Context, set *appsv1.StatefulSet, p *corev1.Pod) error {
	if controller.PodFinished(p) {
		c.Event(set, corev1.EventTypeWarning, "RecreatingTerminatedPod", "StatefulSet %s/%s is recreating terminated Pod %s", set.Namespace, set.Name, p.Name)
	}
	return c.pods.Remove(ctx, set, p)
}

func (c *Controller) writeStatus(ctx context.Context, set *appsv1.StatefulSet, next appsv1.StatefulSetStatus) error {
	if equality.Semantic.DeepEqual(set.Status, next) {
		return nil
	}
	out := set.DeepCopy()
	out.Status = next
	return controller.WriteStatus(ctx, c.api, out)
}

func (c *Controller) forget(ctx context.Context, set *appsv1.StatefulSet, history []*appsv1.ControllerRevision, pods []*corev1.Pod, s appsv1.StatefulSetStatus) error {
	used := map[string]bool{set.Status.CurrentRevision: true, s.CurrentRevision: true, s.UpdateRevision: true}
	for _, p := range pods {
		used[revisionOf(p)] = true
	}
	return c.revisions.Forget(ctx, history, set.Spec.RevisionHistoryLimit, used)
}
