package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// Pods are the pods of one kind of workload: a view with IndexByOwner whose changes wake the owners, and calls that
// are remembered until the view shows them and told as Events of the owner. Use NewPods.
type Pods struct {
	client.Cache[*corev1.Pod]
	API client.Client[*corev1.Pod]
	// Tell records what became of a call, verb is "Create" or "Delete"; NewPods sets upstream's usual words.
	Tell    func(owner api.Object, verb string, pod *corev1.Pod, err error)
	loop    *Loop
	pending *Pending
}

// NewPods makes the pods of owner's kind for a loop that works on owners. Call before the caches run.
func NewPods(d Deps, l *Loop, owner schema.GroupVersionKind) *Pods {
	p := &Pods{Cache: client.CacheOf[*corev1.Pod](d.Caches), API: client.For[*corev1.Pod](d.Conn), loop: l}
	p.Tell = p.tell
	p.pending = NewPending(p.Cache)
	IndexByOwner(p.Cache)
	ChangedChild(l, p.Cache, owner.GroupKind())
	return p
}

func (p *Pods) tell(owner api.Object, verb string, pod *corev1.Pod, err error) {
	if err == nil {
		p.loop.Event(owner, corev1.EventTypeNormal, "Successful"+verb, "%sd pod: %s", verb, pod.Name)
		return
	}
	doing := map[string]string{"Create": "creating", "Delete": "deleting"}[verb]
	p.loop.Event(owner, corev1.EventTypeWarning, "Failed"+verb, "Error %s: %v", doing, err)
}

// Behind is whether the view does not show yet all that was done for owner, who is then woken when it does.
func (p *Pods) Behind(owner Key) bool {
	behind, again := p.pending.Any(owner)
	if behind {
		p.loop.AddAfter(owner, again)
	}
	return behind
}

// Create makes a pod for owner; one without a name gets one. It is no error that the namespace is going away.
func (p *Pods) Create(ctx context.Context, owner api.Object, pod *corev1.Pod) error {
	if pod.Name == "" {
		pod.Name = Name(pod.GenerateName)
	}
	p.pending.Creating(KeyOf(owner), KeyOf(pod))
	_, err := p.API.Create(ctx, pod)
	if err == nil {
		p.Tell(owner, "Create", pod, nil)
		return nil
	}
	p.pending.NotCreated(KeyOf(pod))
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	p.Tell(owner, "Create", pod, err)
	return fmt.Errorf("create pod %s: %w", pod.Name, err)
}

// Remove deletes this very pod; it is no error that it is gone, or another of that name.
func (p *Pods) Remove(ctx context.Context, owner api.Object, pod *corev1.Pod) error {
	p.pending.Deleting(KeyOf(owner), pod)
	err := p.API.Delete(ctx, pod.Namespace, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err == nil {
		p.Tell(owner, "Delete", pod, nil)
		return nil
	}
	p.pending.NotDeleted(pod)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	p.Tell(owner, "Delete", pod, err)
	return fmt.Errorf("delete pod %s: %w", pod.Name, err)
}

// WriteStatus writes the status of obj, a changed copy; it is no error that obj is gone.
func WriteStatus[T api.Object](ctx context.Context, c client.Client[T], obj T) error {
	if _, err := c.UpdateStatus(ctx, obj); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
