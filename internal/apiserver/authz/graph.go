package authz

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	local "github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// graph knows the pods of every node and answers what they refer to. Nodes carry about a
// hundred pods, so references are looked up in the pods rather than kept.
type graph struct {
	reader      request.Reader
	volumes     *api.Kind
	attachments *api.Kind
	seed        sync.Once
	fill        func()

	mu   sync.RWMutex
	pods map[string]map[[2]string]*corev1.Pod // by node, by namespace and name
}

func newGraph(r request.Reader) *graph {
	g := &graph{
		reader:      r,
		volumes:     r.Registry().Resource(schema.GroupResource{Resource: "persistentvolumes"}),
		attachments: r.Registry().Resource(schema.GroupResource{Group: storagev1.GroupName, Resource: "volumeattachments"}),
		fill:        func() {},
		pods:        map[string]map[[2]string]*corev1.Pod{},
	}
	if pods := r.Registry().Resource(schema.GroupResource{Resource: "pods"}); pods != nil {
		r.OnChange(pods, g.change)
		g.fill = func() {
			r.Each(pods, "", func(o api.Object) bool {
				g.change(nil, o)
				return true
			})
		}
	}
	return g
}

func (g *graph) change(old, obj api.Object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := old.(*corev1.Pod); ok && p.Spec.NodeName != "" {
		byName := g.pods[p.Spec.NodeName]
		delete(byName, [2]string{p.Namespace, p.Name})
		if len(byName) == 0 {
			delete(g.pods, p.Spec.NodeName)
		}
	}
	if p, ok := obj.(*corev1.Pod); ok && p.Spec.NodeName != "" {
		byName := g.pods[p.Spec.NodeName]
		if byName == nil {
			byName = map[[2]string]*corev1.Pod{}
			g.pods[p.Spec.NodeName] = byName
		}
		byName[[2]string{p.Namespace, p.Name}] = p
	}
}

func (g *graph) runs(node, namespace, name string) bool {
	g.seed.Do(g.fill)
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.pods[node][[2]string{namespace, name}] != nil
}

// refers reports whether a pod on the node uses the object. kind is secret, configmap,
// persistentvolumeclaim, resourceclaim or serviceaccount.
func (g *graph) refers(node, kind, namespace, name string) bool {
	g.seed.Do(g.fill)
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, p := range g.pods[node] {
		if p.Namespace != namespace || isMirror(p) {
			continue // a static pod must not open secrets to its node
		}
		found := false
		references(p, func(k, n string) { found = found || k == kind && n == name })
		if found {
			return true
		}
	}
	return false
}

// boundVolume reports whether the PersistentVolume is bound to a claim of a pod on the node.
func (g *graph) boundVolume(node, name string) bool {
	if g.volumes == nil || name == "" {
		return false
	}
	o, ok := g.reader.Get(g.volumes, "", name)
	if !ok {
		return false
	}
	claim := o.(*corev1.PersistentVolume).Spec.ClaimRef
	return claim != nil && g.refers(node, "persistentvolumeclaim", claim.Namespace, claim.Name)
}

// holds reports whether the PersistentVolume was provisioned on the node.
func (g *graph) holds(node, name string) bool {
	if g.volumes == nil || name == "" {
		return false
	}
	o, ok := g.reader.Get(g.volumes, "", name)
	return ok && o.GetLabels()[local.LocalPathNode] == node
}

func (g *graph) attached(node, name string) bool {
	if g.attachments == nil || name == "" {
		return false
	}
	o, ok := g.reader.Get(g.attachments, "", name)
	return ok && o.(*storagev1.VolumeAttachment).Spec.NodeName == node
}

func isMirror(p *corev1.Pod) bool {
	_, ok := p.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// references calls f for every object of its namespace that a pod names.
func references(p *corev1.Pod, f func(kind, name string)) {
	account := p.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	f("serviceaccount", account)
	for _, s := range p.Spec.ImagePullSecrets {
		f("secret", s.Name)
	}
	for i := range p.Spec.Volumes {
		volumeReferences(p, &p.Spec.Volumes[i], f)
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			envReferences(list[i].Env, list[i].EnvFrom, f)
		}
	}
	for i := range p.Spec.EphemeralContainers {
		envReferences(p.Spec.EphemeralContainers[i].Env, p.Spec.EphemeralContainers[i].EnvFrom, f)
	}
	for _, c := range p.Spec.ResourceClaims {
		if c.ResourceClaimName != nil {
			f("resourceclaim", *c.ResourceClaimName)
		}
	}
	for _, c := range p.Status.ResourceClaimStatuses {
		if c.ResourceClaimName != nil {
			f("resourceclaim", *c.ResourceClaimName)
		}
	}
}

func envReferences(env []corev1.EnvVar, from []corev1.EnvFromSource, f func(kind, name string)) {
	for _, e := range env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			f("secret", r.Name)
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			f("configmap", r.Name)
		}
	}
	for _, e := range from {
		if e.SecretRef != nil {
			f("secret", e.SecretRef.Name)
		}
		if e.ConfigMapRef != nil {
			f("configmap", e.ConfigMapRef.Name)
		}
	}
}

func volumeReferences(p *corev1.Pod, v *corev1.Volume, f func(kind, name string)) {
	secret := func(r *corev1.LocalObjectReference) {
		if r != nil {
			f("secret", r.Name)
		}
	}
	switch s := v.VolumeSource; {
	case s.Secret != nil:
		f("secret", s.Secret.SecretName)
	case s.ConfigMap != nil:
		f("configmap", s.ConfigMap.Name)
	case s.PersistentVolumeClaim != nil:
		f("persistentvolumeclaim", s.PersistentVolumeClaim.ClaimName)
	case s.Ephemeral != nil:
		f("persistentvolumeclaim", p.Name+"-"+v.Name)
	case s.CSI != nil:
		secret(s.CSI.NodePublishSecretRef)
	case s.ISCSI != nil:
		secret(s.ISCSI.SecretRef)
	case s.RBD != nil:
		secret(s.RBD.SecretRef)
	case s.CephFS != nil:
		secret(s.CephFS.SecretRef)
	case s.FlexVolume != nil:
		secret(s.FlexVolume.SecretRef)
	case s.AzureFile != nil:
		f("secret", s.AzureFile.SecretName)
	case s.Projected != nil:
		for _, src := range s.Projected.Sources {
			if src.Secret != nil {
				f("secret", src.Secret.Name)
			}
			if src.ConfigMap != nil {
				f("configmap", src.ConfigMap.Name)
			}
		}
	}
}
