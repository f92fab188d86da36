// Package daemonset keeps one pod on every node that wants it.
//
// plan.go decides what there should be, roll.go how pods of former templates
// are replaced; fit.go says which nodes want one; daemonset.go does. Read plan.go first.
package daemonset

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

type plan struct {
	create []string // nodes
	delete []*corev1.Pod
	status appsv1.DaemonSetStatus
	again  time.Duration // look again then, if not zero
}

// view is what a plan is made from.
type view struct {
	ds    *appsv1.DaemonSet
	hash  string // of the newest template
	nodes []*corev1.Node
	pods  []*corev1.Pod
	hold  func(node string) time.Duration // how long a pod that failed there is not yet to be replaced
	now   time.Time
}

type state struct {
	view
	plan
	places []place // by the names of their nodes
}

// place is one node as the set sees it.
type place struct {
	node        string
	start, stay bool          // a pod should be started; one that is there may stay
	pods        []*corev1.Pod // the oldest first; those that ended and are being deleted are left out
	running     []*corev1.Pod // of these, those that neither ended nor are being deleted
}

func decide(v view) plan {
	s := &state{view: v}
	s.look()
	if v.ds.DeletionTimestamp == nil {
		for i := range s.places {
			s.manage(&s.places[i])
		}
		s.lost()
		// Replacing waits until everything is in its place.
		if len(s.create)+len(s.delete) == 0 {
			s.roll()
		}
	}
	s.count()
	return s.plan
}

func (s *state) look() {
	on := map[string][]*corev1.Pod{}
	for _, p := range s.pods {
		if !controller.PodFinished(p) || p.DeletionTimestamp == nil {
			on[node(p)] = append(on[node(p)], p)
		}
	}
	sample := &corev1.Pod{Spec: *s.ds.Spec.Template.Spec.DeepCopy()}
	tolerate(&sample.Spec)
	for _, n := range s.nodes {
		at := place{node: n.Name, pods: on[n.Name]}
		at.start, at.stay = fits(sample, n)
		slices.SortFunc(at.pods, older)
		for _, p := range at.pods {
			if p.DeletionTimestamp == nil && !controller.PodFinished(p) {
				at.running = append(at.running, p)
			}
		}
		s.places = append(s.places, at)
	}
	slices.SortFunc(s.places, func(a, b place) int { return cmp.Compare(a.node, b.node) })
}

// older: pods that are on a node come first.
func older(a, b *corev1.Pod) int {
	if x, y := a.Spec.NodeName == "", b.Spec.NodeName == ""; x != y {
		if y {
			return -1
		}
		return 1
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// manage makes one node have one pod, or none.
func (s *state) manage(at *place) {
	switch {
	case !at.stay:
		for _, p := range at.pods {
			if p.DeletionTimestamp == nil {
				s.delete = append(s.delete, p)
			}
		}
		return
	case at.start && len(at.pods) == 0:
		s.create = append(s.create, at.node)
		return
	}
	s.ended(at)
	surge, _ := s.limits()
	switch {
	case surge == 0 && len(at.running) > 1:
		s.delete = append(s.delete, at.running[1:]...)
	case surge > 0 && at.start && len(at.running) == 0 && !s.ends(at):
		s.create = append(s.create, at.node)
	case surge > 0 && len(at.running) > 1:
		s.pair(at)
	}
}

// ended removes pods that ended; those that failed not too often, since it may be the node that refuses them.
func (s *state) ended(at *place) {
	for _, p := range at.pods {
		if p.DeletionTimestamp != nil || !controller.PodFinished(p) {
			continue
		}
		if p.Status.Phase == corev1.PodFailed {
			if wait := s.hold(at.node); wait > 0 {
				s.after(wait)
				continue
			}
		}
		s.delete = append(s.delete, p)
	}
}

// ends is whether a pod that ended is still there.
func (s *state) ends(at *place) bool {
	return slices.ContainsFunc(at.pods, func(p *corev1.Pod) bool { return p.DeletionTimestamp == nil && controller.PodFinished(p) })
}

// pair keeps one pod of the newest template and, until that is available, one former pod that is ready.
func (s *state) pair(at *place) {
	var fresh, former *corev1.Pod
	for _, p := range at.running {
		switch {
		case s.updated(p) && fresh == nil:
			fresh = p
		case !s.updated(p) && former == nil:
			former = p
		default:
			s.delete = append(s.delete, p)
		}
	}
	if fresh != nil && former != nil && (!controller.PodReady(former) || s.available(fresh)) {
		s.delete = append(s.delete, former)
	}
}

// lost pods wait for a node that is gone.
func (s *state) lost() {
	known := map[string]bool{}
	for i := range s.places {
		known[s.places[i].node] = true
	}
	for _, p := range s.pods {
		if p.Spec.NodeName == "" && p.DeletionTimestamp == nil && node(p) != "" && !known[node(p)] {
			s.delete = append(s.delete, p)
		}
	}
}

func (s *state) updated(p *corev1.Pod) bool {
	return p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == s.hash
}

// available also says when to look again.
func (s *state) available(p *corev1.Pod) bool {
	ok, in := controller.PodAvailable(p, time.Duration(s.ds.Spec.MinReadySeconds)*time.Second, s.now)
	s.after(in)
	return ok
}

func (s *state) after(d time.Duration) {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
}

// desired is on how many nodes a pod should run.
func (s *state) desired() int {
	n := 0
	for i := range s.places {
		if s.places[i].start {
			n++
		}
	}
	return n
}

// count makes the status; of several pods of a node the oldest counts.
func (s *state) count() {
	st := &s.status
	*st = appsv1.DaemonSetStatus{ObservedGeneration: s.ds.Generation, CollisionCount: s.ds.Status.CollisionCount, Conditions: s.ds.Status.Conditions}
	for i := range s.places {
		at := &s.places[i]
		switch {
		case !at.start && len(at.pods) > 0:
			st.NumberMisscheduled++
			continue
		case !at.start:
			continue
		}
		st.DesiredNumberScheduled++
		if len(at.pods) == 0 {
			continue
		}
		st.CurrentNumberScheduled++
		p := at.pods[0]
		if s.updated(p) {
			st.UpdatedNumberScheduled++
		}
		if controller.PodReady(p) {
			st.NumberReady++
			if s.available(p) {
				st.NumberAvailable++
			}
		}
	}
	st.NumberUnavailable = st.DesiredNumberScheduled - st.NumberAvailable
}
