// Package server is the node's HTTP API: logs, exec, attach, port-forward,
// statistics, for the API server and for Prometheus.
//
// It knows paths and protocols; what it shows comes from Node. Read Handler (the
// routes), then stream.go (how four streams travel over one connection).
package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Node is what the server shows.
type Node interface {
	Pods() []*corev1.Pod
	// Container finds the newest attempt, or the one before. uid may be empty. Errors are of kind NotFound or
	// Unavailable (not started yet), and are sentences for the user.
	Container(ns, pod, uid, container string, previous bool) (Container, error)
	// Dial connects to a port on a pod's loopback.
	Dial(ctx context.Context, ns, pod, uid string, port uint16) (io.ReadWriteCloser, error)
	Summary(ctx context.Context) (*statsapi.Summary, error)
}

// Container is one container to look into.
type Container struct {
	ID      string
	LogPath string
	TTY     bool
	Stdin   bool
	Running bool
	Done    <-chan struct{} // closed when it has ended
	Close   func()          // lets go of Done
}

// Runner runs commands; an engine.Engine is one.
type Runner interface {
	Exec(ctx context.Context, id string, e engine.ExecConfig) (int, error)
	Attach(ctx context.Context, id string, s engine.Streams) error
}

// Server answers requests. Use New.
type Server struct {
	node Node
	run  Runner
	log  *slog.Logger
	auth func(*http.Request) error
}

// New makes a server. auth is asked before everything but health; nil allows all.
func New(node Node, run Runner, log *slog.Logger, auth func(*http.Request) error) *Server {
	return &Server{node, run, log, auth}
}

// Handler routes requests by upstream's paths.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", ok)
	m.HandleFunc("GET /healthz/{check}", ok)
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /pods":                         s.pods,
		"GET /runningpods/":                 s.pods,
		"GET /stats/summary":                s.summary,
		"GET /metrics":                      s.metrics,
		"GET /metrics/cadvisor":             s.metrics,
		"GET /metrics/resource":             s.metrics,
		"GET /metrics/probes":               ok,
		"GET /configz":                      s.configz,
		"/exec/{ns}/{pod}/{c}":              s.exec,
		"/attach/{ns}/{pod}/{c}":            s.attach,
		"/portForward/{ns}/{pod}":           s.portForward,
		"/exec/{ns}/{pod}/{uid}/{c}":        s.exec,
		"/attach/{ns}/{pod}/{uid}/{c}":      s.attach,
		"/portForward/{ns}/{pod}/{uid}":     s.portForward,
		"GET /containerLogs/{ns}/{pod}/{c}": s.logs,
	} {
		m.HandleFunc(pattern, s.guard(h))
	}
	return m
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// guard asks who it is first.
func (s *Server) guard(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.auth != nil {
			if err := s.auth(r); err != nil {
				code := http.StatusForbidden
				if fault.Of(err) == fault.Unavailable {
					code = http.StatusServiceUnavailable
				}
				http.Error(w, err.Error(), code)
				return
			}
		}
		h(w, r)
	}
}

// refuse answers an error that happened before anything was sent.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch fault.Of(err) {
	case fault.NotFound:
		code = http.StatusNotFound
	case fault.Invalid, fault.Unavailable:
		code = http.StatusBadRequest
	}
	var bad badRequest
	if errors.As(err, &bad) {
		code = http.StatusBadRequest
	}
	http.Error(w, err.Error(), code)
}

type badRequest string

func (b badRequest) Error() string { return string(b) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	l := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
	for _, p := range s.node.Pods() {
		l.Items = append(l.Items, *p)
	}
	writeJSON(w, &l)
}

func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	sum, err := s.node.Summary(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	writeJSON(w, sum)
}

// configz shows what tests and tools ask for: the kubelet configuration's name and kind, with defaults left out.
func (s *Server) configz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"kubeletconfig": map[string]any{"containerLogMaxSize": "10Mi", "containerLogMaxFiles": 5, "maxPods": 110}})
}
