package serviceaccount

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Tokens fills Secrets of type kubernetes.io/service-account-token; its keys are Secrets. Use NewTokens.
type Tokens struct {
	*controller.Loop
	accounts client.Cache[*corev1.ServiceAccount]
	secrets  client.Cache[*corev1.Secret]
	api      client.Client[*corev1.Secret]
	d        controller.Deps
}

const byAccount = "service account"

// NewTokens makes the controller. Without Deps.SignToken it does nothing.
func NewTokens(d controller.Deps) *Tokens {
	c := &Tokens{accounts: client.CacheOf[*corev1.ServiceAccount](d.Caches), secrets: client.CacheOf[*corev1.Secret](d.Caches), api: client.For[*corev1.Secret](d.Conn), d: d}
	c.Loop = controller.NewLoop(d, "tokens-controller", c.sync)
	c.secrets.Index(byAccount, func(s *corev1.Secret) []string {
		if s.Type != corev1.SecretTypeServiceAccountToken {
			return nil
		}
		return []string{s.Namespace + "/" + s.Annotations[corev1.ServiceAccountNameKey]}
	})
	c.secrets.Subscribe(func(_, s *corev1.Secret) {
		if s != nil && s.Type == corev1.SecretTypeServiceAccountToken {
			c.AddObject(s)
		}
	})
	c.accounts.Subscribe(func(old, sa *corev1.ServiceAccount) {
		if sa == nil {
			sa = old
		}
		for _, s := range c.secrets.By(byAccount, sa.Namespace+"/"+sa.Name) {
			c.AddObject(s)
		}
	})
	return c
}

func (c *Tokens) sync(ctx context.Context, key controller.Key) error {
	s, ok := c.secrets.Get(key.Namespace, key.Name)
	if !ok || s.DeletionTimestamp != nil || c.d.SignToken == nil {
		return nil
	}
	sa, ok := c.accounts.Get(key.Namespace, s.Annotations[corev1.ServiceAccountNameKey])
	uid := s.Annotations[corev1.ServiceAccountUIDKey]
	if !ok || uid != "" && uid != string(sa.UID) {
		return c.remove(ctx, s)
	}
	if uid != "" && len(s.Data[corev1.ServiceAccountTokenKey]) > 0 && string(s.Data[corev1.ServiceAccountRootCAKey]) == string(c.d.RootCA) && len(s.Data[corev1.ServiceAccountNamespaceKey]) > 0 {
		return nil
	}
	token, err := c.d.SignToken(sa, s)
	if err != nil {
		return fmt.Errorf("sign token: %w", err)
	}
	next := s.DeepCopy()
	metav1.SetMetaDataAnnotation(&next.ObjectMeta, corev1.ServiceAccountUIDKey, string(sa.UID))
	if next.Data == nil {
		next.Data = map[string][]byte{}
	}
	if len(next.Data[corev1.ServiceAccountTokenKey]) == 0 {
		next.Data[corev1.ServiceAccountTokenKey] = []byte(token)
	}
	next.Data[corev1.ServiceAccountRootCAKey] = c.d.RootCA
	next.Data[corev1.ServiceAccountNamespaceKey] = []byte(s.Namespace)
	if _, err := c.api.Update(ctx, next); err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	return nil
}

// remove deletes the token of an account that is gone, once the server has said so too.
func (c *Tokens) remove(ctx context.Context, s *corev1.Secret) error {
	name := s.Annotations[corev1.ServiceAccountNameKey]
	sa, err := client.For[*corev1.ServiceAccount](c.d.Conn).Get(ctx, s.Namespace, name)
	uid := s.Annotations[corev1.ServiceAccountUIDKey]
	switch {
	case err == nil && (uid == "" || uid == string(sa.UID)):
		return nil // the cache will have it soon and wake us
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	err = c.api.Delete(ctx, s.Namespace, s.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.UID}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
