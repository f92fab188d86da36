// Package localpath is the built-in provisioner: a volume is a directory on the node that the scheduler chose.
//
// It only writes to the API: the node that a volume is labelled with makes the directory when a pod first mounts
// it, and removes it before it lets go of the volume's finalizer. Capacity is a number here: nothing enforces it.
// Read plan.go first.
package localpath

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller provisions, deletes and grows volumes. Keys of volumes have no namespace. Use New.
type Controller struct {
	*controller.Loop
	claims    client.Cache[*corev1.PersistentVolumeClaim]
	volumes   client.Cache[*corev1.PersistentVolume]
	classes   client.Cache[*storagev1.StorageClass]
	nodes     client.Cache[*corev1.Node]
	claimAPI  client.Client[*corev1.PersistentVolumeClaim]
	volumeAPI client.Client[*corev1.PersistentVolume]
	nodeAPI   client.Client[*corev1.Node]
}

const byNode = "local-path volumes by node"

// New makes the provisioner.
func New(d controller.Deps) *Controller {
	c := &Controller{
		claims: client.CacheOf[*corev1.PersistentVolumeClaim](d.Caches), volumes: client.CacheOf[*corev1.PersistentVolume](d.Caches),
		classes: client.CacheOf[*storagev1.StorageClass](d.Caches), nodes: client.CacheOf[*corev1.Node](d.Caches),
		claimAPI: client.For[*corev1.PersistentVolumeClaim](d.Conn), volumeAPI: client.For[*corev1.PersistentVolume](d.Conn),
		nodeAPI: client.For[*corev1.Node](d.Conn),
	}
	c.Loop = controller.NewLoop(d, binding.LocalPath, c.sync)
	c.volumes.Index(byNode, func(v *corev1.PersistentVolume) []string {
		if !ours(v) {
			return nil
		}
		return []string{v.Labels[binding.LocalPathNode]}
	})
	c.claims.Subscribe(func(_, claim *corev1.PersistentVolumeClaim) {
		if claim != nil && (wanted(claim) || claim.Spec.VolumeName != "" && grows(claim)) {
			c.AddObject(claim)
		}
	})
	c.volumes.Subscribe(func(_, v *corev1.PersistentVolume) {
		if v != nil && ours(v) {
			c.AddObject(v)
		}
	})
	c.nodes.Subscribe(func(old, n *corev1.Node) {
		switch {
		case n == nil:
			for _, v := range c.volumes.By(byNode, old.Name) {
				c.AddObject(v)
			}
		case old == nil || old.Annotations[binding.LocalPathRoot] != n.Annotations[binding.LocalPathRoot]:
			for _, claim := range c.claims.List() { // they may wait for this very node
				if wanted(claim) {
					c.AddObject(claim)
				}
			}
		}
	})
	return c
}

func ours(v *corev1.PersistentVolume) bool {
	return v.Annotations[binding.ProvisionedBy] == binding.LocalPath
}

// wanted is whether a claim was left to this provisioner and has no volume yet.
func wanted(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.Annotations[binding.Provisioner] == binding.LocalPath && claim.DeletionTimestamp == nil
}

// grows is whether a claim asks for more than it has.
func grows(claim *corev1.PersistentVolumeClaim) bool {
	want, have := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	return claim.Status.Phase == corev1.ClaimBound && want.Cmp(have) > 0
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	if key.Namespace == "" {
		return c.syncVolume(ctx, key.Name)
	}
	claim, ok := c.claims.Get(key.Namespace, key.Name)
	switch {
	case !ok:
		return nil
	case wanted(claim):
		return c.provision(ctx, claim)
	case grows(claim):
		return c.grow(ctx, claim)
	}
	return nil
}

func (c *Controller) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	class, ok := c.classes.Get("", binding.ClassOf(claim))
	if !ok || class.Provisioner != binding.LocalPath {
		return nil
	}
	if _, ok := c.volumes.Get("", volumeName(claim)); ok {
		return nil // the binder's turn
	}
	p := decide(claim, class, c.candidates(claim))
	switch {
	case p.refusal != "":
		c.Event(claim, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %s", class.Name, p.refusal)
		return nil
	case p.unselect:
		next := claim.DeepCopy()
		delete(next.Annotations, binding.SelectedNode)
		_, err := c.claimAPI.Update(ctx, next)
		return err
	case p.volume == nil:
		return nil
	}
	_, err := c.volumeAPI.Create(ctx, p.volume)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		c.Event(claim, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %v", class.Name, err)
		return fmt.Errorf("create volume %s: %w", p.volume.Name, err)
	}
	c.Event(claim, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume %s", p.volume.Name)
	return nil
}

// candidates are the node that was selected, or all when none was.
func (c *Controller) candidates(claim *corev1.PersistentVolumeClaim) []*corev1.Node {
	name := claim.Annotations[binding.SelectedNode]
	if name == "" {
		return c.nodes.List()
	}
	if n, ok := c.nodes.Get("", name); ok {
		return []*corev1.Node{n}
	}
	return nil
}

// grow writes the size that was asked for: a directory has room until its disk is full.
func (c *Controller) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	v, ok := c.volumes.Get("", claim.Spec.VolumeName)
	if !ok || !ours(v) || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != claim.UID {
		return nil
	}
	want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if have := v.Spec.Capacity[corev1.ResourceStorage]; have.Cmp(want) < 0 {
		next := v.DeepCopy()
		next.Spec.Capacity[corev1.ResourceStorage] = want
		if _, err := c.volumeAPI.Update(ctx, next); err != nil {
			return fmt.Errorf("write capacity of volume %s: %w", v.Name, err)
		}
	}
	next := claim.DeepCopy()
	if next.Status.Capacity == nil {
		next.Status.Capacity = corev1.ResourceList{}
	}
	next.Status.Capacity[corev1.ResourceStorage] = want
	next.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: want} // what quota counts (KEP-1790)
	if !equality.Semantic.DeepEqual(next.Status, claim.Status) {
		if _, err := c.claimAPI.UpdateStatus(ctx, next); err != nil {
			return fmt.Errorf("write capacity: %w", err)
		}
	}
	c.Event(claim, corev1.EventTypeNormal, "VolumeResizeSuccessful", "Resize volume succeeded")
	return nil
}

// syncVolume deletes what was released, and lets go of what a node took with it.
func (c *Controller) syncVolume(ctx context.Context, name string) error {
	v, ok := c.volumes.Get("", name)
	if !ok || !ours(v) {
		return nil
	}
	switch {
	case v.DeletionTimestamp == nil && v.Status.Phase == corev1.VolumeReleased && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		err := c.volumeAPI.Delete(ctx, "", name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &v.UID, ResourceVersion: &v.ResourceVersion}})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete volume: %w", err)
		}
	case v.DeletionTimestamp != nil && slices.Contains(v.Finalizers, binding.LocalPathFinalizer):
		return c.abandon(ctx, v)
	}
	return nil
}

// abandon lets go of a volume whose node is gone for good: nobody else could remove the directory.
func (c *Controller) abandon(ctx context.Context, v *corev1.PersistentVolume) error {
	node := v.Labels[binding.LocalPathNode]
	if _, ok := c.nodes.Get("", node); ok {
		return nil
	}
	if _, err := c.nodeAPI.Get(ctx, "", node); !apierrors.IsNotFound(err) {
		return err
	}
	next := v.DeepCopy()
	next.Finalizers = slices.DeleteFunc(next.Finalizers, func(f string) bool { return f == binding.LocalPathFinalizer })
	if _, err := c.volumeAPI.Update(ctx, next); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("let go of a volume of node %s, which is gone: %w", node, err)
	}
	return nil
}
