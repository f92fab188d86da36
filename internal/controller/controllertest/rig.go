// Package controllertest runs controllers over the fake connection inside a
// testing/synctest bubble, where waiting costs nothing.
package controllertest

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
	"github.com/dhow-project/dhow/internal/controller"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Rig is a fake server with running controllers.
type Rig struct {
	*testing.T
	*clienttest.Fake
	Ctx    context.Context
	group  *run.Group
	caches *client.Caches
}

// Run calls test in a bubble, with what parts builds running over a fake that holds seed.
func Run(t *testing.T, parts func(controller.Deps) []controller.Part, seed []api.Object, test func(*Rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rig{T: t, Fake: clienttest.NewFake(clienttest.Registry())}
		r.group = run.New(t.Context())
		r.Ctx = r.group.Context()
		r.Seed(seed...)
		log := slog.New(slog.DiscardHandler)
		r.caches = client.NewCaches(r.Fake, log)
		r.caches.Guard()
		d := controller.Deps{Conn: newStrict(t, r.Fake), Caches: r.caches, Recorder: client.NewRecorder(r.Fake, "", "", log), Log: log}
		for _, p := range parts(d) {
			r.group.Go("part", p.Run)
		}
		r.group.Go("caches", r.caches.Run)
		r.group.Go("recorder", d.Recorder.Run)
		r.Settle()
		test(r)
		r.group.Stop()
		if err := r.group.Wait(); err != nil {
			t.Error(err)
		}
		if err := r.caches.CheckUnchanged(); err != nil {
			t.Error(err)
		}
	})
}

// Settle waits until nothing moves, short retries included.
func (r *Rig) Settle() {
	synctest.Wait()
	r.Pass(2 * time.Second)
}

// Pass lets d go by.
func (r *Rig) Pass(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

// Ready makes all pods that match run and be ready.
func (r *Rig) Ready(match func(*corev1.Pod) bool) {
	r.Helper()
	pods := client.For[*corev1.Pod](r.Fake)
	l, err := pods.List(r.Ctx, "", metav1.ListOptions{})
	r.OK(err)
	for _, p := range l {
		if match(p) && p.DeletionTimestamp == nil && !controller.PodReady(p) {
			p = p.DeepCopy()
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
			_, err := pods.UpdateStatus(r.Ctx, p)
			r.OK(err)
		}
	}
	r.Settle()
}

// All is a match for Ready.
func All(*corev1.Pod) bool { return true }

// OK fails the test on an error.
func (r *Rig) OK(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// List is everything of one type.
func List[T api.Object](r *Rig) []T {
	r.Helper()
	l, err := client.For[T](r.Fake).List(r.Ctx, "", metav1.ListOptions{})
	r.OK(err)
	return l
}

// Get is one object.
func Get[T api.Object](r *Rig, namespace, name string) T {
	r.Helper()
	o, err := client.For[T](r.Fake).Get(r.Ctx, namespace, name)
	r.OK(err)
	return o
}

// Change updates one object and lets everything settle.
func Change[T api.Object](r *Rig, namespace, name string, f func(T)) T {
	r.Helper()
	o, err := client.Mutate(r.Ctx, client.For[T](r.Fake), namespace, name, func(o T) error { f(o); return nil })
	r.OK(err)
	r.Settle()
	return o
}
