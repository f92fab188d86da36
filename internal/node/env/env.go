// Package env makes a container's environment: services, ConfigMaps, Secrets,
// fields, resources, and $(VAR) references between them.
//
// It reads objects through Source and does nothing else. Read Make first.
package env

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Source gives the objects a pod names.
type Source interface {
	ConfigMap(ctx context.Context, ns, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, ns, name string) (*corev1.Secret, error)
}

// Vars is a finished environment.
type Vars struct {
	own     map[string]string // declared by the container
	service map[string]string
}

// Lookup finds a variable; the container's own come first.
func (v Vars) Lookup(name string) (string, bool) {
	if s, ok := v.own[name]; ok {
		return s, true
	}
	s, ok := v.service[name]
	return s, ok
}

// List is K=V, sorted by name.
func (v Vars) List() []string {
	all := maps.Clone(v.service)
	maps.Copy(all, v.own)
	out := make([]string, 0, len(all))
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, k+"="+all[k])
	}
	return out
}

// Make resolves c's environment: envFrom first, then env in order, each may refer to what precedes it and to services.
// services are those to announce. A missing object or key that is not optional is an error that names it.
func Make(ctx context.Context, src Source, p *corev1.Pod, c *corev1.Container, services []*corev1.Service, at Place) (Vars, error) {
	v := Vars{own: map[string]string{}, service: map[string]string{}}
	Services(v.service, services)
	for i := range c.EnvFrom {
		if err := from(ctx, src, p.Namespace, &c.EnvFrom[i], v.own); err != nil {
			return v, err
		}
	}
	for i := range c.Env {
		e := &c.Env[i]
		val, ok := Expand(e.Value, v.Lookup), true
		if e.Value == "" && e.ValueFrom != nil {
			var err error
			if val, ok, err = value(ctx, src, p, c, e.ValueFrom, at); err != nil {
				return v, err
			}
		}
		if ok {
			v.own[e.Name] = val
		}
	}
	return v, nil
}

// from copies a whole ConfigMap or Secret.
func from(ctx context.Context, src Source, ns string, f *corev1.EnvFromSource, out map[string]string) error {
	switch {
	case f.ConfigMapRef != nil:
		cm, err := src.ConfigMap(ctx, ns, f.ConfigMapRef.Name)
		if err != nil {
			return missing(err, f.ConfigMapRef.Optional)
		}
		for k, s := range cm.Data {
			out[f.Prefix+k] = s
		}
	case f.SecretRef != nil:
		s, err := src.Secret(ctx, ns, f.SecretRef.Name)
		if err != nil {
			return missing(err, f.SecretRef.Optional)
		}
		for k, b := range s.Data {
			out[f.Prefix+k] = string(b)
		}
	}
	return nil
}

// missing forgives an absent object that is optional.
func missing(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && is(optional) {
		return nil
	}
	return err
}

func is(b *bool) bool { return b != nil && *b }

// value resolves one valueFrom; ok is false when an optional source is absent.
func value(ctx context.Context, src Source, p *corev1.Pod, c *corev1.Container, f *corev1.EnvVarSource, at Place) (string, bool, error) {
	switch {
	case f.FieldRef != nil:
		s, err := Field(p, f.FieldRef.FieldPath, at)
		return s, true, err
	case f.ResourceFieldRef != nil:
		of := c
		if n := f.ResourceFieldRef.ContainerName; n != "" && n != c.Name {
			if of = Container(p, n); of == nil {
				return "", false, fmt.Errorf("container %s not found", n)
			}
		}
		s, err := Resource(f.ResourceFieldRef, of, at)
		return s, true, err
	case f.ConfigMapKeyRef != nil:
		r := f.ConfigMapKeyRef
		cm, err := src.ConfigMap(ctx, p.Namespace, r.Name)
		if err != nil {
			return "", false, missing(err, r.Optional)
		}
		s, ok := cm.Data[r.Key]
		if !ok && !is(r.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", r.Key, p.Namespace, r.Name)
		}
		return s, ok, nil
	case f.SecretKeyRef != nil:
		r := f.SecretKeyRef
		s, err := src.Secret(ctx, p.Namespace, r.Name)
		if err != nil {
			return "", false, missing(err, r.Optional)
		}
		b, ok := s.Data[r.Key]
		if !ok && !is(r.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", r.Key, p.Namespace, r.Name)
		}
		return string(b), ok, nil
	}
	return "", false, fmt.Errorf("this source of a variable is not supported by this node: use a field, a resource, a ConfigMap or a Secret")
}

// Container finds an init or main container by name.
func Container(p *corev1.Pod, name string) *corev1.Container {
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == name {
			return &p.Spec.Containers[i]
		}
	}
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == name {
			return &p.Spec.InitContainers[i]
		}
	}
	return nil
}
