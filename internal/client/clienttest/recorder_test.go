package clienttest_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
)

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clienttest.NewFake(clienttest.Registry())
		r := client.NewRecorder(f, "test", "", slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}}
		for i := range 14 {
			r.Event(pod, corev1.EventTypeNormal, "Same", "again")
			if i < 12 {
				r.Event(pod, corev1.EventTypeWarning, "Varies", "number %d", i)
			}
			time.Sleep(5 * time.Minute) // refills the budget of one object
		}
		synctest.Wait()
		cancel()
		<-done
		l, err := client.For[*corev1.Event](f).List(t.Context(), "ns", metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int32{}
		for _, e := range l {
			got[e.Reason+" "+e.Message] = e.Count
			if e.InvolvedObject.Kind != "Pod" || e.Source.Component != "test" {
				t.Errorf("event of %+v by %+v", e.InvolvedObject, e.Source)
			}
		}
		if got["Same again"] != 14 || len(got) != 12 || got[fmt.Sprintf("Varies (combined from similar events): number %d", 11)] != 2 {
			t.Errorf("got %v", got)
		}
	})
}
