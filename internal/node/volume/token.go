package volume

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
)

type tokenKey struct {
	audience string
	seconds  int64
}

// token is one service account token of a pod and the timer that renews it.
type token struct {
	text    string
	expires time.Time
	renew   time.Time
	timer   *time.Timer
}

func (t *token) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// renewAt is when a token is replaced: at 80 % of its life, after a day at the latest, as upstream.
func renewAt(now, expires time.Time) time.Time {
	at := now.Add(expires.Sub(now) * 8 / 10)
	if day := now.Add(24 * time.Hour); at.After(day) {
		at = day
	}
	return at
}

// token adds the file of a service account token, asking for one when there is none fresh; v.mu is held.
func (s *Set) token(ctx context.Context, v *podVolumes, files map[string]File, src *corev1.ServiceAccountTokenProjection, m fs.FileMode) error {
	k := tokenKey{src.Audience, 3600}
	if src.ExpirationSeconds != nil {
		k.seconds = *src.ExpirationSeconds
	}
	now := time.Now()
	t := v.tokens[k]
	if t == nil || !now.Before(t.renew) {
		text, expires, err := s.cfg.Token(ctx, v.pod, k.audience, k.seconds)
		if err != nil && (t == nil || !now.Before(t.expires)) {
			return fmt.Errorf("failed to fetch token: %w", err)
		}
		if err != nil { // the old one is good for a while: ask again soon
			t.renew = now.Add(min(time.Minute, t.expires.Sub(now)/2))
		} else {
			if t != nil {
				t.stop()
			}
			t = &token{text: text, expires: expires, renew: renewAt(now, expires)}
			v.tokens[k] = t
		}
		t.stop()
		uid := v.pod.UID
		t.timer = time.AfterFunc(max(time.Until(t.renew), time.Second), func() { s.Refresh(context.Background(), uid) })
	}
	f := File{[]byte(t.text), m, -1}
	user := onlyUser(v.pod)
	if user != nil {
		f.UID = int(*user)
	}
	if user != nil || fsGroup(v.pod) != nil {
		f.Mode = 0o600
	}
	return put(files, src.Path, f)
}

// onlyUser is the user that all containers run as, nil when they differ or do not say.
func onlyUser(p *corev1.Pod) *int64 {
	var pod *int64
	if p.Spec.SecurityContext != nil {
		pod = p.Spec.SecurityContext.RunAsUser
	}
	var only *int64
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			u := pod
			if sc := l[i].SecurityContext; sc != nil && sc.RunAsUser != nil {
				u = sc.RunAsUser
			}
			if u == nil || only != nil && *only != *u {
				return nil
			}
			only = u
		}
	}
	return only
}

// inMemory makes dir's own parent a tmpfs of the pod: one for all its secret volumes of a kind.
func (s *Set) inMemory(dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return err
	}
	if s.cfg.NoMounts {
		return nil
	}
	return mountTmpfs(parent, 0)
}
