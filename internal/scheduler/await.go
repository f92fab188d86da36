package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
)

// patience is how long a pod keeps its place on a node while its volumes are made, as upstream's bindTimeout.
const patience = 10 * time.Minute

// waiting are the pods that have a node and not yet their volumes, by UID. They belong to the loop's goroutine.
type waiting map[types.UID]*waiter

type waiter struct {
	*item
	timer *time.Timer
}

func (w waiting) drop(uid types.UID) {
	if p := w[uid]; p != nil {
		p.timer.Stop()
		delete(w, uid)
	}
}

// await keeps the pod's place and has its volumes reserved or made. The changes that this brings wake it.
func (s *Scheduler) await(it *item, v filter.Volumes) {
	pod := it.pod.Object
	var names []string
	for _, r := range v.Reserve {
		names = append(names, r.Volume.Name)
	}
	s.state.Promise(pod.UID, names)
	w := &waiter{item: it}
	w.timer = time.AfterFunc(patience, func() {
		s.later(func() { s.giveUp(w, errors.New("timed out waiting for volumes to be bound")) })
	})
	s.waiting[pod.UID] = w
	s.group.Go("reserve volumes", func(ctx context.Context) error {
		if err := s.reserve(ctx, it.target, v); err != nil && ctx.Err() == nil {
			s.later(func() { s.giveUp(w, err) })
		}
		return nil
	})
}

// reserve writes what a plan says: whose a volume is, and where one is to be made.
func (s *Scheduler) reserve(ctx context.Context, node string, v filter.Volumes) error {
	volumes, claims := client.For[*corev1.PersistentVolume](s.Conn), client.For[*corev1.PersistentVolumeClaim](s.Conn)
	for _, r := range v.Reserve {
		if binding.For(r.Volume, r.Claim) && r.Volume.Spec.ClaimRef.UID != "" {
			continue
		}
		next, c := r.Volume.DeepCopy(), r.Claim
		if next.Annotations == nil {
			next.Annotations = map[string]string{}
		}
		if !binding.For(r.Volume, r.Claim) {
			next.Annotations[binding.BoundByController] = "yes"
		}
		next.Spec.ClaimRef = &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion}
		if _, err := volumes.Update(ctx, next); err != nil {
			return fmt.Errorf("reserve volume %s: %w", next.Name, err)
		}
	}
	for _, c := range v.Provision {
		if c.Annotations[binding.SelectedNode] == node {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": c.UID, "annotations": map[string]string{binding.SelectedNode: node}}})
		if err != nil {
			return err
		}
		if _, err := claims.Patch(ctx, c.Namespace, c.Name, "", types.StrategicMergePatchType, patch); err != nil {
			return fmt.Errorf("select a node for claim %s: %w", c.Name, err)
		}
	}
	return nil
}

// giveUp frees the place of a pod whose volumes do not come; it is tried again later.
func (s *Scheduler) giveUp(w *waiter, err error) {
	if s.waiting[w.pod.Object.UID] == w {
		s.unbound(w.item, fmt.Errorf("running PreBind plugin %q: %w", "VolumeBinding", err))
	}
}

// claimChanged looks at the pods that wait for a claim.
func (s *Scheduler) claimChanged(old, claim *corev1.PersistentVolumeClaim) {
	for _, w := range s.waiting {
		switch {
		case old == nil || !mounts(w.pod, old):
		case claim == nil:
			s.giveUp(w, fmt.Errorf("persistentvolumeclaim %q not found", old.Name))
		case old.Annotations[binding.SelectedNode] == w.target && claim.Annotations[binding.SelectedNode] != w.target && !binding.Bound(claim):
			s.giveUp(w, fmt.Errorf("provisioning failed for PVC %q", claim.Name)) // the provisioner wants another node
		}
	}
	s.volumesChanged()
}

func mounts(p *cluster.Pod, c *corev1.PersistentVolumeClaim) bool {
	for _, have := range p.Claims {
		if have.Name == c.Name && p.Object.Namespace == c.Namespace {
			return true
		}
	}
	return false
}

// volumesChanged binds the pods whose volumes have come, and gives others another chance.
func (s *Scheduler) volumesChanged() {
	for uid, w := range s.waiting {
		done, err := s.arrived(w)
		switch {
		case err != nil:
			s.giveUp(w, err)
		case done:
			s.waiting.drop(uid)
			s.ready = append(s.ready, w.item)
		}
	}
	s.queue.unparkClaims()
}

// arrived is whether a pod has all its volumes, on the node it was promised.
func (s *Scheduler) arrived(w *waiter) (bool, error) {
	node := s.state.Node(w.target)
	if node == nil {
		return false, fmt.Errorf("node %q not found", w.target)
	}
	for _, c := range w.pod.Claims {
		claim := s.storage.Claim(w.pod.Object.Namespace, c.Name)
		if claim == nil || !binding.Bound(claim) {
			return false, nil
		}
		v := s.storage.Volume(claim.Spec.VolumeName)
		if v == nil {
			return false, nil
		}
		if !binding.Reaches(v, node.Object) {
			return false, fmt.Errorf("pv %q node affinity doesn't match node %q", v.Name, w.target)
		}
	}
	return true, nil
}
