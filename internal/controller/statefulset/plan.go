// Package statefulset keeps pods that have a name and storage of their own.
//
// plan.go decides, with identity.go for what a pod is called and claims.go for
// who owns its storage; statefulset.go does. Read plan.go first.
package statefulset

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/controller"
)

// plan is one look at a set. It is carried out from top to bottom.
type plan struct {
	reown     []*corev1.PersistentVolumeClaim // as they should be
	conflicts []string                        // claims that somebody else controls
	claims    []*corev1.PersistentVolumeClaim // to create
	create    []*corev1.Pod
	label     []*corev1.Pod // as they should be
	remove    []*corev1.Pod
	status    appsv1.StatefulSetStatus
	again     time.Duration // look again then, if not zero
}

// view is what a plan is made from.
type view struct {
	set             *appsv1.StatefulSet
	current, update revision
	pods            []*corev1.Pod // the set's
	claim           claimFinder
	taken           func(pod string) bool           // a pod that is not the set's has the name
	hold            func(*corev1.Pod) time.Duration // how long a failed pod is not yet to be replaced
	now             time.Time
}

type revision struct {
	name     string
	template *corev1.PodTemplateSpec
}

type state struct {
	view
	plan
	ordered   bool
	wanted    []*corev1.Pod // by ordinal; nil: there is none yet
	condemned []*corev1.Pod // highest ordinal first
}

func decide(v view) plan {
	s := &state{view: v, ordered: v.set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement}
	s.sort()
	if v.set.DeletionTimestamp == nil {
		s.own()
		if s.keep() && s.shrink() {
			s.roll()
		}
	}
	s.count()
	return s.plan
}

func (s *state) sort() {
	s.wanted = make([]*corev1.Pod, *s.set.Spec.Replicas)
	for _, p := range s.pods {
		switch n := ordinal(p); {
		case inRange(s.set, n):
			s.wanted[n-first(s.set)] = p
		case n >= 0:
			s.condemned = append(s.condemned, p)
		}
	}
	slices.SortFunc(s.condemned, func(a, b *corev1.Pod) int { return cmp.Compare(ordinal(b), ordinal(a)) })
}

// own gives claims the owners that the retention policy wants.
func (s *state) own() {
	for _, p := range s.pods {
		for i := range s.set.Spec.VolumeClaimTemplates {
			c := s.claim(claimName(s.set, &s.set.Spec.VolumeClaimTemplates[i], ordinal(p)))
			if c == nil || ordinal(p) < 0 {
				continue
			}
			next, conflict := reowned(s.set, p, c)
			if next != nil {
				s.reown = append(s.reown, next)
			}
			if conflict && (next != nil || p.Status.Phase == corev1.PodPending) {
				s.conflicts = append(s.conflicts, c.Name)
			}
		}
	}
}

func (s *state) ready(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning && controller.PodReady(p)
}

// available also says when to look again.
func (s *state) available(p *corev1.Pod) bool {
	ok, in := controller.PodAvailable(p, time.Duration(s.set.Spec.MinReadySeconds)*time.Second, s.now)
	s.after(in)
	return ok
}

func (s *state) after(d time.Duration) {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
}

// healthy pods let an ordered set go on.
func (s *state) healthy(p *corev1.Pod) bool {
	return p != nil && p.DeletionTimestamp == nil && s.ready(p) && s.available(p)
}

// keep makes the wanted pods exist. It is false when an ordered set has to wait.
func (s *state) keep() bool {
	for i, p := range s.wanted {
		if s.one(first(s.set)+i, p); s.ordered && !s.healthy(p) {
			return false
		}
	}
	return true
}

func (s *state) one(n int, p *corev1.Pod) {
	switch {
	case p == nil:
		if missing, ok := s.storage(n); ok && !s.taken(podName(s.set, n)) {
			s.claims = append(s.claims, missing...)
			s.create = append(s.create, s.pod(n))
		}
	case p.DeletionTimestamp != nil:
	case controller.PodFinished(p): // Succeeded too: the phase of an evicted pod depends on its exit code
		if wait := s.hold(p); wait > 0 {
			s.after(wait)
			return
		}
		s.remove = append(s.remove, p)
	default:
		if p.Status.Phase == corev1.PodPending {
			if missing, ok := s.storage(n); ok {
				s.claims = append(s.claims, missing...)
			}
		}
		if !identified(p) {
			next := p.DeepCopy()
			identify(next)
			s.label = append(s.label, next)
		}
	}
}

// storage is which claims an ordinal lacks. It is false while one of them has yet to go.
func (s *state) storage(n int) ([]*corev1.PersistentVolumeClaim, bool) {
	var missing []*corev1.PersistentVolumeClaim
	_, whenScaled := deletes(s.set)
	pod := &corev1.Pod{}
	pod.Name = podName(s.set, n)
	for i := range s.set.Spec.VolumeClaimTemplates {
		t := &s.set.Spec.VolumeClaimTemplates[i]
		switch c := s.claim(claimName(s.set, t, n)); {
		case c == nil:
			c = newClaim(s.set, t, n)
			c.OwnerReferences = append(c.OwnerReferences, owners(s.set, pod)...)
			missing = append(missing, c)
		case c.DeletionTimestamp != nil, whenScaled && s.wanted[n-first(s.set)] == nil && stale(c, pod, podKind):
			return nil, false
		}
	}
	return missing, true
}

// pod is a new one: below the partition of the current revision, else of the update.
func (s *state) pod(n int) *corev1.Pod {
	rev := s.update
	if n < first(s.set)+s.partition() {
		rev = s.current
	}
	return newPod(s.set, rev.template, rev.name, n)
}

func (s *state) rolling() *appsv1.RollingUpdateStatefulSetStrategy {
	if r := s.set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		return r
	}
	return &appsv1.RollingUpdateStatefulSetStrategy{}
}

func (s *state) partition() int {
	if p := s.rolling().Partition; p != nil {
		return int(*p)
	}
	return 0
}

// shrink deletes what is too much: an ordered set from the top, one at a time, and only while the others are well.
func (s *state) shrink() bool {
	if !s.ordered {
		for _, p := range s.condemned {
			if p.DeletionTimestamp == nil {
				s.remove = append(s.remove, p)
			}
		}
		return true
	}
	if len(s.condemned) == 0 {
		return true
	}
	var sick *corev1.Pod // the lowest; it may go although it is not well, otherwise nothing ever would
	for _, p := range s.condemned {
		if !s.available(p) || p.DeletionTimestamp != nil {
			sick = p
		}
	}
	if p := s.condemned[0]; p.DeletionTimestamp == nil && (s.healthy(p) || p == sick) {
		s.remove = append(s.remove, p)
	}
	return false
}

// roll replaces pods of former revisions from the top.
func (s *state) roll() {
	if s.set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	room := s.room()
	for i, p := range slices.Backward(s.wanted) {
		switch {
		case i < s.partition() || room <= 0:
			return
		case p != nil && p.DeletionTimestamp == nil && revisionOf(p) != s.update.name:
			if !slices.Contains(s.remove, p) {
				s.remove = append(s.remove, p)
			}
			room--
		case s.rolling().MaxUnavailable == nil && (p == nil || p.DeletionTimestamp != nil || !s.available(p)):
			return
		}
	}
}

// room is how many pods may be taken down. Without a limit it is one, whatever is down already below it.
func (s *state) room() int {
	limit := s.rolling().MaxUnavailable
	if limit == nil {
		return 1
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(limit, len(s.wanted), false)
	if err != nil {
		return 0
	}
	n = max(n, 1)
	for _, p := range s.wanted {
		if p == nil || p.DeletionTimestamp != nil || !s.available(p) {
			n--
		}
	}
	return n
}

// count makes the status.
func (s *state) count() {
	st := &s.status
	*st = *s.set.Status.DeepCopy()
	st.ObservedGeneration, st.CurrentRevision, st.UpdateRevision = s.set.Generation, s.current.name, s.update.name
	st.Replicas, st.ReadyReplicas, st.AvailableReplicas, st.CurrentReplicas, st.UpdatedReplicas = 0, 0, 0, 0, 0
	for _, p := range s.pods {
		st.Replicas++
		if s.ready(p) {
			st.ReadyReplicas++
			if s.available(p) {
				st.AvailableReplicas++
			}
		}
		if p.DeletionTimestamp != nil {
			continue
		}
		if revisionOf(p) == s.current.name {
			st.CurrentReplicas++
		}
		if revisionOf(p) == s.update.name {
			st.UpdatedReplicas++
		}
	}
	want := *s.set.Spec.Replicas
	if s.set.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType && st.UpdatedReplicas == want && st.ReadyReplicas == want && st.Replicas == want {
		st.CurrentReplicas, st.CurrentRevision = st.UpdatedReplicas, st.UpdateRevision
	}
}
