// Command podstart measures how long pods take from their creation to Running, one after the other.
//
//	podstart KUBECONFIG IMAGE COUNT
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/remote"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "podstart:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: podstart KUBECONFIG IMAGE COUNT")
	}
	count, err := strconv.Atoi(args[2])
	if err != nil || count < 1 {
		return fmt.Errorf("count %q", args[2])
	}
	config, err := remote.FromKubeconfig(args[0], "")
	if err != nil {
		return err
	}
	conn, err := remote.New(api.NewRegistry(all.Kinds()), *config)
	if err != nil {
		return err
	}
	defer conn.Close()
	took := make([]time.Duration, count)
	for i := range took {
		if took[i], err = one(conn, fmt.Sprintf("start-%d", i), args[1]); err != nil {
			return err
		}
	}
	slices.Sort(took)
	fmt.Printf("pod created to Running: p50 %d ms, p90 %d ms, max %d ms (%d pods)\n",
		took[count/2].Milliseconds(), took[count*9/10].Milliseconds(), took[count-1].Milliseconds(), count)
	return nil
}

// one starts a pod, waits until it runs and until it is gone again.
func one(conn client.Conn, name, image string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	pods := client.For[*corev1.Pod](conn)
	kind := client.KindOf[*corev1.Pod](conn.Registry())
	seen, err := conn.List(ctx, kind, "default", metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	events, err := conn.Watch(ctx, kind, "default", metav1.ListOptions{ResourceVersion: seen.ResourceVersion})
	if err != nil {
		return 0, err
	}
	defer events.Close()
	begin := time.Now()
	_, err = pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image, Command: []string{"sleep", "1000"}}}},
	})
	if err != nil {
		return 0, err
	}
	if err := until(events, func(e client.Event, p *corev1.Pod) bool { return p.Name == name && p.Status.Phase == corev1.PodRunning }); err != nil {
		return 0, fmt.Errorf("pod %s runs: %w", name, err)
	}
	took := time.Since(begin)
	now := int64(0)
	if err := pods.Delete(ctx, "default", name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		return 0, err
	}
	return took, until(events, func(e client.Event, p *corev1.Pod) bool { return p.Name == name && e.Type == client.Deleted })
}

func until(w client.Watch, done func(client.Event, *corev1.Pod) bool) error {
	for {
		events, err := w.Next()
		if err != nil {
			return err
		}
		for _, e := range events {
			if p, ok := e.Object.(*corev1.Pod); ok && done(e, p) {
				return nil
			}
		}
	}
}
