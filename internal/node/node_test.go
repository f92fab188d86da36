package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/fake"
)

// world is a node on a fake engine and a fake API.
type world struct {
	testing.TB
	conn *memConn
	eng  *fake.Engine
	node *Node
	pods client.Client[*corev1.Pod]
	stop func()
	dir  string
}

func newWorld(t *testing.T) *world { return newWorldFor(t) }

func newWorldFor(t testing.TB) *world {
	w := &world{TB: t, conn: newMemConn(), eng: fake.New(), dir: t.TempDir()}
	w.pods = client.For[*corev1.Pod](w.conn)
	w.boot()
	return w
}

func (w *world) boot() {
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("NODE_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	w.node = New(Config{Name: "n1", Addresses: []net.IP{net.IPv4(192, 168, 7, 1)}, Dir: w.dir, Engine: w.eng, Conn: w.conn, Log: log, NoMounts: true, Storage: filepath.Join(w.dir, "storage")})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.node.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.Errorf("run: %v", err)
		}
	}
	w.Cleanup(w.stop)
}

func web(name string) *corev1.Pod {
	grace := int64(30)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PodSpec{
			NodeName: "n1", RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace,
			DNSPolicy:  corev1.DNSClusterFirst,
			Containers: []corev1.Container{{Name: "app", Image: "web:v1"}},
		},
	}
}

func (w *world) create(p *corev1.Pod) *corev1.Pod {
	w.Helper()
	o, err := w.pods.Create(context.Background(), p)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// until waits for a version of the pod that satisfies ok, by watching.
func (w *world) until(name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	yes := true
	watch, err := w.conn.Watch(ctx, client.KindOf[*corev1.Pod](w.conn.reg), "default", metav1.ListOptions{FieldSelector: "metadata.name=" + name, SendInitialEvents: &yes})
	if err != nil {
		w.Fatal(err)
	}
	defer watch.Close()
	var last *corev1.Pod
	for {
		evs, err := watch.Next()
		if err != nil {
			w.Fatalf("%s: never %s; last status: %s", name, what, show(last))
		}
		for _, ev := range evs {
			p := ev.Object.(*corev1.Pod)
			if ev.Type == client.Bookmark {
				if what == "deleted" && ok(p) {
					return p
				}
				continue
			}
			last = p
			if ok(p) || ev.Type == client.Deleted && what == "deleted" {
				return p
			}
		}
	}
}

func show(p *corev1.Pod) string {
	if p == nil {
		return "none"
	}
	return fmt.Sprintf("%+v", p.Status)
}

func (w *world) running(name string) *corev1.Pod {
	w.Helper()
	return w.until(name, "running", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning && ready(p) })
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestPodRunsAndGoes(t *testing.T) {
	w := newWorld(t)
	w.create(web("a"))
	p := w.running("a")
	if p.Status.PodIP == "" || p.Status.HostIP != "192.168.7.1" || p.Status.StartTime == nil || p.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("status: %s", show(p))
	}
	if n := w.conn.writes["pods"]; n > 3 {
		t.Errorf("%d writes for one pod", n)
	}
	if err := w.pods.Delete(context.Background(), "default", "a", metav1.DeleteOptions{GracePeriodSeconds: p.Spec.TerminationGracePeriodSeconds}); err != nil {
		t.Fatal(err)
	}
	w.until("a", "deleted", func(*corev1.Pod) bool {
		_, err := w.pods.Get(context.Background(), "default", "a")
		return apierrors.IsNotFound(err)
	})
	if l, _ := w.eng.ListSandboxes(context.Background(), engine.Filter{}); len(l) != 0 {
		t.Errorf("sandboxes left: %v", l)
	}
}
