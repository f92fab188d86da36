package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"

	"github.com/dhow-project/dhow/internal/engine"
)

// exitCode is the outcome of a command that ran.
type exitCode int

func (e exitCode) Error() string {
	return fmt.Sprintf("command terminated with non-zero exit code: exit status %d", int(e))
}

// statusWriter reports an outcome on the error stream: as a Status, or for old clients as text.
func statusWriter(w io.Writer, structured bool) func(error) {
	return func(err error) {
		if !structured {
			if err != nil {
				_, _ = io.WriteString(w, err.Error())
			}
			return
		}
		st := metav1.Status{Status: metav1.StatusSuccess}
		var code exitCode
		switch {
		case errors.As(err, &code):
			st = metav1.Status{Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason, Message: err.Error(),
				Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(int(code))}}}}
		case err != nil:
			st = metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError,
				Message: "Internal error occurred: " + err.Error()}
		}
		b, _ := json.Marshal(st)
		_, _ = w.Write(b)
	}
}

// exec runs a command in a container.
func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	command := r.URL.Query()[corev1.ExecCommandParam]
	if len(command) == 0 {
		refuse(w, badRequest("you must specify at least one command for the container"))
		return
	}
	s.stream(w, r, "exec", func(ctx context.Context, c Container, st *streams) error {
		code, err := s.run.Exec(ctx, c.ID, engine.ExecConfig{Command: command, Streams: st.Streams})
		if err == nil && code != 0 {
			err = exitCode(code)
		}
		return err
	})
}

// attach joins the container's main process.
func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, "attach", func(ctx context.Context, c Container, st *streams) error {
		if !c.Stdin {
			st.Stdin = nil
		}
		st.TTY = c.TTY
		return s.run.Attach(ctx, c.ID, st.Streams)
	})
}

// stream finds the container, opens the streams, acts, and tells the client the outcome.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, what string, act func(context.Context, Container, *streams) error) {
	want := wantedOf(r)
	if !want.stdin && !want.stdout && !want.stderr {
		refuse(w, badRequest("you must specify at least 1 of stdin, stdout, stderr"))
		return
	}
	c, err := s.node.Container(r.PathValue("ns"), r.PathValue("pod"), r.PathValue("uid"), r.PathValue("c"), false)
	if err != nil {
		refuse(w, err)
		return
	}
	defer c.Close()
	if !c.Running {
		refuse(w, badRequest(fmt.Sprintf("container %s in pod %s is not running", r.PathValue("c"), r.PathValue("pod"))))
		return
	}
	st, err := open(w, r, want)
	if err != nil {
		s.log.Debug("streams not opened", "for", what, "error", err)
		return
	}
	defer st.close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	st.status(act(ctx, c, st))
}
