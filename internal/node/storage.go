package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/node/volume"
)

// storage removes the volumes of this node that are deleted: the directory first, then the finalizer, so that a crash
// in between only repeats it.
type storage struct {
	n     *Node
	queue *client.Queue[string]
	api   client.Client[*corev1.PersistentVolume]
}

func newStorage(n *Node) *storage {
	return &storage{n, client.NewQueue[string](), client.For[*corev1.PersistentVolume](n.cfg.Conn)}
}

// run follows the volumes that carry this node's name.
func (s *storage) run(ctx context.Context) error {
	caches := client.NewCaches(s.n.cfg.Conn, s.n.log)
	mine := client.CacheOf[*corev1.PersistentVolume](caches, client.Labels(binding.LocalPathNode+"="+s.n.cfg.Name))
	mine.Subscribe(func(_, v *corev1.PersistentVolume) {
		if v != nil && leaving(v) {
			s.queue.Add(v.Name)
		}
	})
	events := client.NewRecorder(s.n.cfg.Conn, binding.LocalPath, s.n.cfg.Name, s.n.log)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = caches.Run(ctx) })
	wg.Go(func() { _ = events.Run(ctx) })
	defer s.queue.Close()
	for {
		name, ok := s.queue.Get(ctx)
		if !ok {
			return nil
		}
		v, ok := mine.Get("", name)
		if !ok || !leaving(v) {
			s.queue.Forget(name)
		} else if err := s.remove(ctx, v); err != nil && ctx.Err() == nil {
			s.n.log.Warn("volume not removed, trying again", "volume", name, "error", err)
			events.Event(v, corev1.EventTypeWarning, "VolumeFailedDelete", "%v", err)
			s.queue.Retry(name)
		}
		s.queue.Done(name)
	}
}

// leaving is whether a volume is deleted and only this node keeps it.
func leaving(v *corev1.PersistentVolume) bool {
	return v.DeletionTimestamp != nil && slices.Contains(v.Finalizers, binding.LocalPathFinalizer) && !slices.Contains(v.Finalizers, "kubernetes.io/pv-protection")
}

func (s *storage) remove(ctx context.Context, v *corev1.PersistentVolume) error {
	name, ours := volume.Provisioned(s.n.cfg.Storage, v)
	if ours && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		if err := volume.Destroy(s.n.cfg.Storage, name); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": v.UID, "$deleteFromPrimitiveList/finalizers": []string{binding.LocalPathFinalizer}}})
	if err != nil {
		return err
	}
	if _, err := s.api.Patch(ctx, "", v.Name, "", types.StrategicMergePatchType, patch); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("let go of volume %s: %w", v.Name, err)
	}
	return nil
}
