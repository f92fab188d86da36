package volume

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/node/env"
)

// rendered is upstream's plugin name for volumes made of files we write; "" for others.
func rendered(v *corev1.Volume) string {
	switch {
	case v.ConfigMap != nil:
		return "configmap"
	case v.Secret != nil:
		return "secret"
	case v.Projected != nil:
		return "projected"
	case v.DownwardAPI != nil:
		return "downward-api"
	}
	return ""
}

// render writes one volume; v.mu is held. Secrets and tokens go to memory, never to disk.
func (s *Set) render(ctx context.Context, v *podVolumes, vol *corev1.Volume, plugin string) error {
	files := map[string]File{}
	var err error
	switch {
	case vol.ConfigMap != nil:
		err = s.configMap(ctx, v, files, vol.ConfigMap.Name, vol.ConfigMap.Items, vol.ConfigMap.Optional, mode(vol.ConfigMap.DefaultMode))
	case vol.Secret != nil:
		err = s.secret(ctx, v, files, vol.Secret.SecretName, vol.Secret.Items, vol.Secret.Optional, mode(vol.Secret.DefaultMode))
	case vol.DownwardAPI != nil:
		err = s.downward(v, files, vol.DownwardAPI.Items, mode(vol.DownwardAPI.DefaultMode))
	case vol.Projected != nil:
		err = s.projected(ctx, v, files, vol)
	}
	if err != nil {
		return err
	}
	dir := s.path(v.pod, plugin, vol.Name)
	if plugin == "secret" || plugin == "projected" {
		if err := s.inMemory(dir); err != nil {
			return err
		}
	}
	v.paths[vol.Name] = dir
	return write(dir, files, fsGroup(v.pod))
}

func (s *Set) projected(ctx context.Context, v *podVolumes, files map[string]File, vol *corev1.Volume) error {
	m := mode(vol.Projected.DefaultMode)
	for i := range vol.Projected.Sources {
		src := &vol.Projected.Sources[i]
		var err error
		switch {
		case src.ConfigMap != nil:
			err = s.configMap(ctx, v, files, src.ConfigMap.Name, src.ConfigMap.Items, src.ConfigMap.Optional, m)
		case src.Secret != nil:
			err = s.secret(ctx, v, files, src.Secret.Name, src.Secret.Items, src.Secret.Optional, m)
		case src.DownwardAPI != nil:
			err = s.downward(v, files, src.DownwardAPI.Items, m)
		case src.ServiceAccountToken != nil:
			err = s.token(ctx, v, files, src.ServiceAccountToken, m)
		default:
			err = fmt.Errorf("source %d of the projected volume is of a kind this node does not know", i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func mode(m *int32) fs.FileMode {
	if m == nil {
		return 0o644
	}
	return fs.FileMode(*m) & fs.ModePerm
}

// absent forgives an object that is missing and optional.
func absent(err error, optional *bool) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (s *Set) configMap(ctx context.Context, v *podVolumes, files map[string]File, name string, items []corev1.KeyToPath, optional *bool, m fs.FileMode) error {
	cm, err := s.cfg.Source.ConfigMap(ctx, v.pod.Namespace, name)
	if err != nil {
		return absent(err, optional)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, t := range cm.Data {
		data[k] = []byte(t)
	}
	for k, b := range cm.BinaryData {
		data[k] = b
	}
	return pick(files, data, items, optional, m, "configmap")
}

func (s *Set) secret(ctx context.Context, v *podVolumes, files map[string]File, name string, items []corev1.KeyToPath, optional *bool, m fs.FileMode) error {
	sec, err := s.cfg.Source.Secret(ctx, v.pod.Namespace, name)
	if err != nil {
		return absent(err, optional)
	}
	return pick(files, sec.Data, items, optional, m, "secret")
}

// pick takes all keys, or the listed ones under their paths.
func pick(files map[string]File, data map[string][]byte, items []corev1.KeyToPath, optional *bool, m fs.FileMode, what string) error {
	if len(items) == 0 {
		for k, b := range data {
			if err := put(files, k, File{b, m, -1}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, it := range items {
		b, ok := data[it.Key]
		if !ok {
			if optional != nil && *optional {
				continue
			}
			return fmt.Errorf("references non-existent %s key: %s", what, it.Key)
		}
		fm := m
		if it.Mode != nil {
			fm = mode(it.Mode)
		}
		if err := put(files, it.Path, File{b, fm, -1}); err != nil {
			return err
		}
	}
	return nil
}

// put adds a file, refusing paths that would leave the volume or meet our own names.
func put(files map[string]File, name string, f File) error {
	clean := path.Clean(name)
	if name == "" || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "..") {
		return fmt.Errorf("path %q must be relative and stay inside the volume", name)
	}
	files[clean] = f
	return nil
}

func (s *Set) downward(v *podVolumes, files map[string]File, items []corev1.DownwardAPIVolumeFile, m fs.FileMode) error {
	at := s.cfg.Place(v.pod)
	for _, it := range items {
		var text string
		var err error
		switch {
		case it.FieldRef != nil:
			text, err = env.Field(v.pod, it.FieldRef.FieldPath, at)
		case it.ResourceFieldRef != nil:
			c := env.Container(v.pod, it.ResourceFieldRef.ContainerName)
			if c == nil {
				return fmt.Errorf("container %s not found", it.ResourceFieldRef.ContainerName)
			}
			text, err = env.Resource(it.ResourceFieldRef, c, at)
		}
		if err != nil {
			return err
		}
		fm := m
		if it.Mode != nil {
			fm = mode(it.Mode)
		}
		if err := put(files, it.Path, File{[]byte(text), fm, -1}); err != nil {
			return err
		}
	}
	return nil
}
