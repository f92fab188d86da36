// Package rootca publishes the cluster's CA as ConfigMap kube-root-ca.crt in every namespace.
package rootca

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

const (
	mapName = "kube-root-ca.crt"
	mapKey  = "ca.crt"
	why     = "kubernetes.io/description"
	because = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)

// Controller publishes the CA; its keys are namespaces. Use New.
type Controller struct {
	*controller.Loop
	ca         string
	namespaces client.Cache[*corev1.Namespace]
	maps       client.Cache[*corev1.ConfigMap]
	api        client.Client[*corev1.ConfigMap]
}

// New makes the controller. Without Deps.RootCA it does nothing.
func New(d controller.Deps) *Controller {
	c := &Controller{
		ca: string(d.RootCA), namespaces: client.CacheOf[*corev1.Namespace](d.Caches),
		maps: client.CacheOf[*corev1.ConfigMap](d.Caches, client.Fields("metadata.name="+mapName)), api: client.For[*corev1.ConfigMap](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "root-ca-certificate-publisher", c.sync)
	controller.Changed(c.Loop, c.namespaces)
	c.maps.Subscribe(func(old, m *corev1.ConfigMap) {
		if m == nil {
			m = old
		}
		c.Add(controller.Key{Name: m.Namespace})
	})
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	ns, ok := c.namespaces.Get("", key.Name)
	if !ok || ns.DeletionTimestamp != nil || c.ca == "" {
		return nil
	}
	have, ok := c.maps.Get(key.Name, mapName)
	var err error
	switch {
	case !ok:
		_, err = c.api.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Name, Name: mapName, Annotations: map[string]string{why: because}},
			Data:       map[string]string{mapKey: c.ca},
		})
	case len(have.Data) == 1 && have.Data[mapKey] == c.ca:
		return nil
	default:
		next := have.DeepCopy()
		next.Data, next.BinaryData = map[string]string{mapKey: c.ca}, nil
		metav1.SetMetaDataAnnotation(&next.ObjectMeta, why, because)
		_, err = c.api.Update(ctx, next)
	}
	if err == nil || apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	return fmt.Errorf("publish the CA: %w", err)
}
