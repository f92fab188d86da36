package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of Deployments. Use New.
type Controller struct {
	*controller.Loop
	deployments client.Cache[*appsv1.Deployment]
	sets        client.Cache[*appsv1.ReplicaSet]
	pods        client.Cache[*corev1.Pod]
	api         client.Client[*appsv1.Deployment]
	setAPI      client.Client[*appsv1.ReplicaSet]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		deployments: client.CacheOf[*appsv1.Deployment](d.Caches), sets: client.CacheOf[*appsv1.ReplicaSet](d.Caches),
		pods: client.CacheOf[*corev1.Pod](d.Caches), api: client.For[*appsv1.Deployment](d.Conn), setAPI: client.For[*appsv1.ReplicaSet](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "deployment-controller", c.sync)
	controller.IndexByOwner(c.sets)
	controller.IndexByOwner(c.pods)
	controller.Changed(c.Loop, c.deployments)
	c.sets.Subscribe(c.setChanged)
	c.pods.Subscribe(func(old, p *corev1.Pod) {
		if p == nil || controller.PodFinished(p) {
			c.podGone(old, p)
		}
	})
	return c
}

func (c *Controller) setChanged(old, rs *appsv1.ReplicaSet) {
	for _, o := range []*appsv1.ReplicaSet{old, rs} {
		if o == nil {
			continue
		}
		if k, ok := controller.OwnerKey(o, kind.GroupKind()); ok {
			c.Add(k)
		}
	}
	if rs == nil || metav1.GetControllerOf(rs) != nil {
		return
	}
	for _, d := range c.deployments.In(rs.Namespace) {
		if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil && !s.Empty() && s.Matches(labels.Set(rs.Labels)) {
			c.AddObject(d)
		}
	}
}

// podGone wakes a Recreate deployment that may be waiting for its old pods to end.
func (c *Controller) podGone(old, p *corev1.Pod) {
	if p == nil {
		p = old
	}
	k, ok := controller.OwnerKey(p, appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind())
	if !ok {
		return
	}
	rs, ok := c.sets.Get(k.Namespace, k.Name)
	if !ok {
		return
	}
	if k, ok = controller.OwnerKey(rs, kind.GroupKind()); !ok {
		return
	}
	if d, ok := c.deployments.Get(k.Namespace, k.Name); ok && !rolling(d) {
		c.Add(k)
	}
}
