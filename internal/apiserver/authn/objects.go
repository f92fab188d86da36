package authn

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// objects are those that tokens are bound to.
type objects struct {
	reader                         request.Reader
	accounts, pods, secrets, nodes *api.Kind
}

func newObjects(r request.Reader) objects {
	kind := func(name string) *api.Kind { return r.Registry().Resource(schema.GroupResource{Resource: name}) }
	return objects{r, kind("serviceaccounts"), kind("pods"), kind("secrets"), kind("nodes")}
}

func (o *objects) get(k *api.Kind, namespace, name string) (api.Object, bool) {
	if k == nil || name == "" {
		return nil, false
	}
	return o.reader.Get(k, namespace, name)
}

// deletedGrace is how long a token outlives the deletion mark of its object (KEP-1205): a pod
// may say goodbye with it.
const deletedGrace = time.Minute

// live finds an object that a token names, with the uid that it had then.
func (o *objects) live(k *api.Kind, namespace string, want ref, now time.Time) error {
	obj, ok := o.get(k, namespace, want.Name)
	if !ok {
		return errors.New("it does not exist")
	}
	if string(obj.GetUID()) != want.UID {
		return errors.New("it was deleted and created anew")
	}
	if d := obj.GetDeletionTimestamp(); d != nil && now.After(d.Add(deletedGrace)) {
		return errors.New("it has been deleted")
	}
	return nil
}

func (o *objects) checkBound(p *privateClaims, now time.Time) error {
	if err := o.live(o.accounts, p.Namespace, p.Account, now); err != nil {
		return fmt.Errorf("service account %s/%s: %w", p.Namespace, p.Account.Name, err)
	}
	if p.Pod != nil {
		if err := o.live(o.pods, p.Namespace, *p.Pod, now); err != nil {
			return fmt.Errorf("bound pod %s/%s: %w", p.Namespace, p.Pod.Name, err)
		}
	}
	if p.Secret != nil {
		if err := o.live(o.secrets, p.Namespace, *p.Secret, now); err != nil {
			return fmt.Errorf("bound secret %s/%s: %w", p.Namespace, p.Secret.Name, err)
		}
	}
	// A node beside a pod is only told, not bound to.
	if p.Node != nil && p.Pod == nil {
		if err := o.live(o.nodes, "", *p.Node, now); err != nil {
			return fmt.Errorf("bound node %s: %w", p.Node.Name, err)
		}
	}
	return nil
}

func (o *objects) checkLegacy(c *claims, token string) error {
	obj, ok := o.get(o.secrets, c.LegacyNamespace, c.LegacySecret)
	s, _ := obj.(*corev1.Secret)
	if !ok || s == nil || s.DeletionTimestamp != nil || s.Type != corev1.SecretTypeServiceAccountToken ||
		subtle.ConstantTimeCompare(s.Data[corev1.ServiceAccountTokenKey], []byte(token)) != 1 {
		return errors.New("token has been invalidated")
	}
	account, ok := o.get(o.accounts, c.LegacyNamespace, c.LegacyAccount)
	if !ok || account.GetDeletionTimestamp() != nil || string(account.GetUID()) != c.LegacyUID {
		return fmt.Errorf("service account %s/%s: it does not exist", c.LegacyNamespace, c.LegacyAccount)
	}
	return nil
}
