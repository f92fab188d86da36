package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/state"
)

type noEvents struct{}

func (noEvents) Event(*corev1.Pod, string, string, string, string) {}

func TestThresholdsAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		begin := time.Now()
		// Start-up succeeds after 4 s; readiness fails from 20 s to 40 s; liveness fails from 60 s on.
		check := func(_ context.Context, _ *pod.ProbeTarget, p *corev1.Probe) (bool, string) {
			at := time.Since(begin)
			switch p.PeriodSeconds {
			case 2:
				return at >= 4*time.Second, ""
			case 5:
				return at < 20*time.Second || at >= 40*time.Second, ""
			}
			return at < 60*time.Second, ""
		}
		m := New(ctx, &wg, noEvents{}, check)
		type seen struct {
			At      time.Duration
			Kind    string
			Verdict state.Verdict
		}
		var mu sync.Mutex
		var got []seen
		m.Watch(pod.ProbeTarget{ID: "c1", Started: begin, Spec: &corev1.Container{
			StartupProbe:   &corev1.Probe{PeriodSeconds: 2, FailureThreshold: 30},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 5, InitialDelaySeconds: 10, SuccessThreshold: 2, FailureThreshold: 2},
			LivenessProbe:  &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3},
		}}, func(r pod.ProbeResult) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, seen{time.Since(begin), r.Kind, r.Verdict})
		})
		time.Sleep(100 * time.Second)
		m.Forget("c1")
		synctest.Wait()
		want := []seen{
			{5 * time.Second, pod.Startup, state.Success},
			{15 * time.Second, pod.Readiness, state.Success},
			{25 * time.Second, pod.Readiness, state.Failure},
			{45 * time.Second, pod.Readiness, state.Success},
			{85 * time.Second, pod.Liveness, state.Failure},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// counting notes events by time.
type counting struct {
	begin time.Time
	at    []time.Duration
}

func (c *counting) Event(*corev1.Pod, string, string, string, string) {
	c.at = append(c.at, time.Since(c.begin).Round(time.Second))
}

// A program that listens a moment after its container runs is ready then, not a period later, and is not restarted for it.
func TestSlowToListen(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen time.Duration
		p      corev1.Probe
		kind   string
		want   map[state.Verdict]time.Duration // the first of each
		events []time.Duration
	}{
		{"at once", 0, corev1.Probe{}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 0}, nil},
		{"soon", 60 * time.Millisecond, corev1.Probe{}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 75 * time.Millisecond}, nil},
		{"within the period", 4 * time.Second, corev1.Probe{}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 4800 * time.Millisecond}, []time.Duration{time.Second}},
		{"later", 12 * time.Second, corev1.Probe{}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 21 * time.Second}, []time.Duration{time.Second, 11 * time.Second}},
		{"after its delay", 4 * time.Second, corev1.Probe{InitialDelaySeconds: 3}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 4575 * time.Millisecond}, []time.Duration{3 * time.Second}},
		{"one failure is enough", 500 * time.Millisecond, corev1.Probe{FailureThreshold: 1}, pod.Startup, map[state.Verdict]time.Duration{state.Success: 775 * time.Millisecond}, nil},
		{"one failure is enough, too slow", 2 * time.Second, corev1.Probe{FailureThreshold: 1}, pod.Startup, map[state.Verdict]time.Duration{state.Failure: time.Second, state.Success: 2800 * time.Millisecond}, []time.Duration{time.Second}},
		{"alive", 900 * time.Millisecond, corev1.Probe{FailureThreshold: 1}, pod.Liveness, map[state.Verdict]time.Duration{}, nil},
		{"several successes are a period apart", 0, corev1.Probe{SuccessThreshold: 2}, pod.Readiness, map[state.Verdict]time.Duration{state.Success: 10 * time.Second}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				begin := time.Now()
				events := &counting{begin: begin}
				m := New(ctx, &wg, events, func(context.Context, *pod.ProbeTarget, *corev1.Probe) (bool, string) {
					return time.Since(begin) >= c.listen, "connection refused"
				})
				spec := &corev1.Container{}
				switch c.kind {
				case pod.Startup:
					spec.StartupProbe = &c.p
				case pod.Readiness:
					spec.ReadinessProbe = &c.p
				case pod.Liveness:
					spec.LivenessProbe = &c.p
				}
				got := map[state.Verdict]time.Duration{}
				var mu sync.Mutex
				m.Watch(pod.ProbeTarget{ID: "c1", Started: begin, Spec: spec}, func(r pod.ProbeResult) {
					mu.Lock()
					defer mu.Unlock()
					if _, ok := got[r.Verdict]; !ok {
						got[r.Verdict] = time.Since(begin)
					}
				})
				time.Sleep(25 * time.Second)
				m.Forget("c1")
				synctest.Wait()
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(c.events, events.at); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestHTTPAndTCP(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed a redirect to another host") }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			if r.Host != "app.example" || r.UserAgent() != "kube-probe/1.36" {
				t.Errorf("host %s agent %s", r.Host, r.UserAgent())
			}
		case "/away":
			http.Redirect(w, r, "http://localhost:1/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	c := &Checker{}
	defer c.Close()
	tg := Target{Spec: &corev1.Container{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(n)}}}, IP: "127.0.0.1"}
	get := func(path string) *corev1.ProbeHandler {
		return &corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web"), HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "app.example"}}}}
	}
	for path, want := range map[string]bool{"/ok": true, "/away": true, "/bad": false} {
		if ok, out := c.Check(t.Context(), tg, get(path)); ok != want {
			t.Errorf("%s: %v %s", path, ok, out)
		}
	}
	tcp := &corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(n)}}
	if ok, out := c.Check(t.Context(), tg, tcp); !ok {
		t.Error(out)
	}
	s.Close()
	if ok, _ := c.Check(t.Context(), tg, tcp); ok {
		t.Error("a closed port answers")
	}
}

func TestGRPCHealth(t *testing.T) {
	for want, code := range map[bool]uint64{true: 1, false: 2} {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			msg := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code)
			w.Write(append([]byte{0, 0, 0, 0, byte(len(msg))}, msg...))
			w.Header().Set("Grpc-Status", "0")
		}))
		s.Config.Protocols = &protocols
		s.Start()
		_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
		n, _ := strconv.Atoi(port)
		ok, out := (&Checker{}).Check(t.Context(), Target{IP: "127.0.0.1"}, &corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(n)}})
		if ok != want {
			t.Errorf("%v: %s", ok, out)
		}
		s.Close()
	}
}
