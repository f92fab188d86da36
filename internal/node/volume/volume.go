// Package volume makes the directories that containers mount: emptyDir, hostPath,
// ConfigMap, Secret, projected, downwardAPI, tokens, claims of local volumes.
//
// Rendered volumes are rewritten when what they show changes, by an atomic switch of
// one symlink. Nothing here polls. Read Set first, then render.go and atomic.go.
package volume

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/env"
)

// Config of a Set.
type Config struct {
	Dir    string // of all pods: <Dir>/<uid>/volumes/kubernetes.io~<plugin>/<name>
	Source env.Source
	// Place says where a pod is, for downward API volumes.
	Place func(*corev1.Pod) env.Place
	// Token asks for a service account token bound to the pod.
	Token func(ctx context.Context, pod *corev1.Pod, audience string, seconds int64) (token string, expires time.Time, err error)
	// Image makes an image present and returns its ID.
	Image func(ctx context.Context, pod *corev1.Pod, src *corev1.ImageVolumeSource) (string, error)
	// Claim finds the persistent volume behind one of the pod's volumes.
	Claim func(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (*corev1.PersistentVolume, error)
	// Storage is the directory of the volumes that are provisioned on this node.
	Storage string
	// NoMounts keeps everything in plain directories: for fake nodes and users who are not root.
	NoMounts bool
	Log      *slog.Logger
}

// Set is the volumes of all pods of a node. Use New. It is safe for concurrent use.
type Set struct {
	cfg   Config
	mu    sync.Mutex
	pods  map[types.UID]*podVolumes
	alone map[string]types.UID // pods that have a volume for themselves, by volume
}

// podVolumes is one pod's.
type podVolumes struct {
	mu     sync.Mutex // one writer at a time
	pod    *corev1.Pod
	paths  map[string]string // volume → host path
	sealed map[string]bool   // volumes that no container may write to
	images map[string]string // volume → image ID
	tokens map[tokenKey]*token
	ready  bool
	closed bool
}

// New makes a Set.
func New(cfg Config) *Set {
	return &Set{cfg: cfg, pods: map[types.UID]*podVolumes{}, alone: map[string]types.UID{}}
}

// PodDir is the directory of one pod.
func (s *Set) PodDir(uid types.UID) string { return filepath.Join(s.cfg.Dir, string(uid)) }

func (s *Set) of(pod *corev1.Pod) *podVolumes {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.pods[pod.UID]
	if v == nil {
		v = &podVolumes{pod: pod, paths: map[string]string{}, sealed: map[string]bool{}, images: map[string]string{}, tokens: map[tokenKey]*token{}}
		s.pods[pod.UID] = v
	}
	return v
}

// Prepare makes every volume of the pod. It is safe to repeat; volumes that exist are brought up to date.
func (s *Set) Prepare(ctx context.Context, pod *corev1.Pod) error {
	v := s.of(pod)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pod = pod
	if err := os.MkdirAll(s.PodDir(pod.UID), 0o750); err != nil {
		return fmt.Errorf("make pod directory: %w", err)
	}
	if name := device(pod); name != "" {
		return fmt.Errorf("volume %s is specified in volumeDevices: this node mounts only file systems, use volumeMounts", name)
	}
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if err := s.prepare(ctx, v, vol); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", vol.Name, err)
		}
	}
	v.ready = true
	return nil
}

func (s *Set) prepare(ctx context.Context, v *podVolumes, vol *corev1.Volume) error {
	switch {
	case vol.HostPath != nil:
		v.paths[vol.Name] = vol.HostPath.Path
		return hostPath(vol.HostPath)
	case vol.EmptyDir != nil:
		path := s.path(v.pod, "empty-dir", vol.Name)
		v.paths[vol.Name] = path
		return s.emptyDir(path, v.pod, vol.EmptyDir)
	case vol.Image != nil:
		id, err := s.cfg.Image(ctx, v.pod, vol.Image)
		v.images[vol.Name] = id
		return err
	case vol.PersistentVolumeClaim != nil, vol.Ephemeral != nil:
		return s.claim(ctx, v, vol)
	}
	plugin := rendered(vol)
	if plugin == "" {
		return fmt.Errorf("this node has no plugin for this kind of volume; it knows emptyDir, hostPath, configMap, secret, projected, downwardAPI, image, and claims of local and hostPath volumes")
	}
	return s.render(ctx, v, vol, plugin)
}

// device is the name of a volume that a container wants as a block device, "" when none does.
func device(pod *corev1.Pod) string {
	for _, l := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range l {
			for _, d := range l[i].VolumeDevices {
				return d.Name
			}
		}
	}
	return ""
}

func (v *podVolumes) set(volume, path string, readOnly bool) {
	v.paths[volume], v.sealed[volume] = path, readOnly
}

func (s *Set) path(pod *corev1.Pod, plugin, name string) string {
	return filepath.Join(s.PodDir(pod.UID), "volumes", "kubernetes.io~"+plugin, name)
}

// Update shows a newer version of the pod in its downward API volumes.
func (s *Set) Update(pod *corev1.Pod) {
	s.mu.Lock()
	v := s.pods[pod.UID]
	s.mu.Unlock()
	if v == nil {
		return
	}
	v.mu.Lock()
	v.pod = pod
	v.mu.Unlock()
	s.Refresh(context.Background(), pod.UID)
}

// Refresh rewrites the pod's rendered volumes whose content changed. What cannot be read any more stays as it was.
func (s *Set) Refresh(ctx context.Context, uid types.UID) {
	s.mu.Lock()
	v := s.pods[uid]
	s.mu.Unlock()
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.ready || v.closed {
		return
	}
	for i := range v.pod.Spec.Volumes {
		vol := &v.pod.Spec.Volumes[i]
		plugin := rendered(vol)
		if plugin == "" {
			continue
		}
		if err := s.render(ctx, v, vol, plugin); err != nil {
			s.cfg.Log.Warn("volume not brought up to date", "pod", v.pod.Namespace+"/"+v.pod.Name, "volume", vol.Name, "error", err)
		}
	}
}

// Release removes the pod's volumes and its directory. Idempotent.
func (s *Set) Release(_ context.Context, pod *corev1.Pod) error {
	s.mu.Lock()
	v := s.pods[pod.UID]
	delete(s.pods, pod.UID)
	maps.DeleteFunc(s.alone, func(_ string, uid types.UID) bool { return uid == pod.UID })
	s.mu.Unlock()
	if v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.closed = true
		for _, t := range v.tokens {
			t.stop()
		}
	}
	return s.Remove(string(pod.UID))
}

// Remove takes away the directory of a pod that has no worker.
func (s *Set) Remove(uid string) error {
	dir := filepath.Join(s.cfg.Dir, uid)
	if !s.cfg.NoMounts {
		if err := unmountBelow(dir); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pod directory: %w", err)
	}
	return nil
}

// Mount is how a container mounts one of the pod's volumes. expand resolves subPathExpr.
func (s *Set) Mount(pod *corev1.Pod, m *corev1.VolumeMount, expand func(string) (string, error)) (engine.Mount, error) {
	v := s.of(pod)
	v.mu.Lock()
	defer v.mu.Unlock()
	out := engine.Mount{Target: m.MountPath, ReadOnly: m.ReadOnly, MapIDs: pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers}
	if m.RecursiveReadOnly != nil && *m.RecursiveReadOnly != corev1.RecursiveReadOnlyDisabled {
		out.Recursive = true
	}
	if m.MountPropagation != nil {
		switch *m.MountPropagation {
		case corev1.MountPropagationHostToContainer:
			out.Propagation = "rslave"
		case corev1.MountPropagationBidirectional:
			out.Propagation = "rshared"
		}
	}
	sub := m.SubPath
	if m.SubPathExpr != "" {
		var err error
		if sub, err = expand(m.SubPathExpr); err != nil {
			return out, err
		}
	}
	if err := safeSub(sub); err != nil {
		return out, fmt.Errorf("volume mount %q: %w", m.Name, err)
	}
	out.SubPath = sub
	if id, ok := v.images[m.Name]; ok {
		out.Image, out.ReadOnly = id, true
		return out, nil
	}
	path, ok := v.paths[m.Name]
	if !ok {
		return out, fmt.Errorf("volume mount %q: the pod has no such volume", m.Name)
	}
	out.Source = path
	out.ReadOnly = out.ReadOnly || v.sealed[m.Name]
	for i := range pod.Spec.Volumes {
		if vol := &pod.Spec.Volumes[i]; vol.Name == m.Name && rendered(vol) != "" {
			out.ReadOnly = true
		}
	}
	if sub != "" {
		return out, makeSub(path, sub)
	}
	return out, nil
}
