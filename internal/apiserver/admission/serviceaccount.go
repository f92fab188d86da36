package admission

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const (
	tokenVolumePrefix = "kube-api-access-"
	tokenMountPath    = "/var/run/secrets/kubernetes.io/serviceaccount"
	// tokenSeconds is an hour and a little: the 7 tells such tokens from those that somebody asked for.
	tokenSeconds = 60*60 + 7
	// accountWait is how long a pod waits for the default account of a namespace that was made a moment ago.
	accountWait = time.Second

	enforceSecrets = "kubernetes.io/enforce-mountable-secrets"
)

// serviceAccounts gives every pod its account and the volume with the account's token.
type serviceAccounts struct {
	*world
	mu      sync.Mutex
	waiting map[[2]string]chan struct{} // closed when that account is created
}

func newServiceAccounts(w *world) *serviceAccounts {
	s := &serviceAccounts{world: w, waiting: map[[2]string]chan struct{}{}}
	if k := w.Registry().Resource(schema.GroupResource{Resource: "serviceaccounts"}); k != nil {
		w.OnChange(k, s.changed)
	}
	return s
}

func (s *serviceAccounts) step() request.Step {
	return request.Step{Name: "ServiceAccount", Mutate: s.mutate, Check: s.check}
}

func (s *serviceAccounts) changed(_, obj api.Object) {
	if obj == nil {
		return
	}
	key := [2]string{obj.GetNamespace(), obj.GetName()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.waiting[key]; c != nil {
		close(c)
		delete(s.waiting, key)
	}
}

// account finds a service account; the default one, which a controller makes, is waited for.
func (s *serviceAccounts) account(ctx context.Context, w *request.Write, name string) (*corev1.ServiceAccount, error) {
	a, ok := find[*corev1.ServiceAccount](s, "", "serviceaccounts", w.Namespace, name)
	if !ok && name == "default" {
		key := [2]string{w.Namespace, name}
		s.mu.Lock()
		c := s.waiting[key]
		if c == nil {
			c = make(chan struct{})
			s.waiting[key] = c
		}
		s.mu.Unlock()
		if a, ok = find[*corev1.ServiceAccount](s, "", "serviceaccounts", w.Namespace, name); !ok {
			timer := time.NewTimer(accountWait)
			defer timer.Stop()
			select {
			case <-c:
			case <-timer.C:
			case <-ctx.Done():
			}
			a, ok = find[*corev1.ServiceAccount](s, "", "serviceaccounts", w.Namespace, name)
		}
		if !ok {
			s.mu.Lock()
			if s.waiting[key] == c {
				delete(s.waiting, key)
			}
			s.mu.Unlock()
		}
	}
	if !ok {
		return nil, forbidden(w, "error looking up service account %s/%s: serviceaccount %q not found", w.Namespace, name, name)
	}
	return a, nil
}

func (s *serviceAccounts) mutate(ctx context.Context, w *request.Write) error {
	p := podOf(w, request.Create)
	if p == nil || isMirror(p) {
		return nil
	}
	if p.Spec.ServiceAccountName == "" {
		p.Spec.ServiceAccountName = "default"
	}
	p.Spec.DeprecatedServiceAccount = p.Spec.ServiceAccountName
	a, err := s.account(ctx, w, p.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	if automount(a, p) {
		mountToken(p)
	}
	if len(p.Spec.ImagePullSecrets) == 0 {
		p.Spec.ImagePullSecrets = slices.Clone(a.ImagePullSecrets)
	}
	return nil
}

func automount(a *corev1.ServiceAccount, p *corev1.Pod) bool {
	for _, b := range []*bool{p.Spec.AutomountServiceAccountToken, a.AutomountServiceAccountToken} {
		if b != nil {
			return *b
		}
	}
	return true
}

// mountToken adds the projected volume and mounts it wherever nothing else sits at its path.
func mountToken(p *corev1.Pod) {
	name, have := "", false
	for i := range p.Spec.Volumes {
		if strings.HasPrefix(p.Spec.Volumes[i].Name, tokenVolumePrefix) {
			name, have = p.Spec.Volumes[i].Name, true
			break
		}
	}
	if !have {
		name = tokenVolumePrefix + randomSuffix()
	}
	need := false
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			c := &list[i]
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tokenMountPath }) {
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMountPath})
			need = true
		}
	}
	if need && !have {
		p.Spec.Volumes = append(p.Spec.Volumes, tokenVolume(name))
	}
}

func tokenVolume(name string) corev1.Volume {
	mode, seconds := int32(0o644), int64(tokenSeconds)
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
			}}},
		},
	}}}
}

// randomSuffix is five letters that make no words, as generated names end in.
func randomSuffix() string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var b [5]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:])
}

func (s *serviceAccounts) check(ctx context.Context, w *request.Write) error {
	if !on(w, "", "pods", []string{"", "ephemeralcontainers"}, request.Create, request.Update) {
		return nil
	}
	p, ok := w.Object.(*corev1.Pod)
	if !ok || w.Operation == request.Update && w.Subresource == "" {
		return nil
	}
	if isMirror(p) {
		return checkMirror(w, p)
	}
	a, err := s.account(ctx, w, p.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	if on, _ := strconv.ParseBool(a.Annotations[enforceSecrets]); !on {
		return nil
	}
	var refused error
	eachSecret(p, func(name, where string) {
		if refused == nil && !slices.ContainsFunc(a.Secrets, func(r corev1.ObjectReference) bool { return r.Name == name }) {
			refused = forbidden(w, "%s with secret.secretName=%q is not allowed because service account %s does not reference that secret", where, name, a.Name)
		}
	})
	for i, ref := range p.Spec.ImagePullSecrets {
		if refused == nil && !slices.Contains(a.ImagePullSecrets, ref) {
			refused = forbidden(w, "imagePullSecrets[%d].name=%q is not allowed because service account %s does not reference that imagePullSecret", i, ref.Name, a.Name)
		}
	}
	return refused
}

// checkMirror keeps a static pod, which its node made without asking, from the API's secrets.
func checkMirror(w *request.Write, p *corev1.Pod) error {
	if p.Spec.ServiceAccountName != "" {
		return forbidden(w, "a mirror pod may not reference service accounts")
	}
	refused := len(p.Spec.ImagePullSecrets) > 0
	eachSecret(p, func(string, string) { refused = true })
	if refused {
		return forbidden(w, "a mirror pod may not reference secrets")
	}
	for i := range p.Spec.Volumes {
		if src := p.Spec.Volumes[i].Projected; src != nil {
			for _, s := range src.Sources {
				if s.ServiceAccountToken != nil {
					return forbidden(w, "a mirror pod may not use ServiceAccountToken volume projections")
				}
			}
		}
	}
	return nil
}

func isMirror(p *corev1.Pod) bool {
	_, ok := p.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// eachSecret calls f for the secrets in volumes and environments of a pod.
func eachSecret(p *corev1.Pod, f func(name, where string)) {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.Secret != nil {
			f(v.Secret.SecretName, "volume")
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					f(s.Secret.Name, "projected volume")
				}
			}
		}
	}
	env := func(name string, vars []corev1.EnvVar, from []corev1.EnvFromSource) {
		for _, e := range vars {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				f(e.ValueFrom.SecretKeyRef.Name, "container "+name+" with envVar "+e.Name)
			}
		}
		for _, e := range from {
			if e.SecretRef != nil {
				f(e.SecretRef.Name, "container "+name+" with envFrom")
			}
		}
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			env(list[i].Name, list[i].Env, list[i].EnvFrom)
		}
	}
	for i := range p.Spec.EphemeralContainers {
		c := &p.Spec.EphemeralContainers[i]
		env(c.Name, c.Env, c.EnvFrom)
	}
}
