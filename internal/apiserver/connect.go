package apiserver

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/conversion/queryparams"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// connector finds who serves a streaming subresource.
func (s *Server) connector(c *call) func(http.ResponseWriter, *http.Request, *Connection) {
	if c.subresource == "" {
		return nil
	}
	return s.Connect[c.kind.Resource+"/"+c.subresource]
}

// mayConnect: WebSockets come as GET, but running commands takes the right to create (KEP-4006, upstream since v1.35).
// What is proxied answers OPTIONS itself.
func (s *Server) mayConnect(c *call, method string) error {
	if !s.allowed(c) && !(c.subresource == "proxy" && method == http.MethodOptions) {
		return methodNotAllowed()
	}
	switch c.subresource {
	case "exec", "attach", "portforward":
		if c.verb == "get" {
			return s.authorize(c.ctx, c.attributes("create"))
		}
	}
	return nil
}

// admitConnect asks admission about a connection, which is told what the client asked for in the query. What admission
// made of that is in the request returned. Logs are read, not connected to.
func (s *Server) admitConnect(c *call, r *http.Request, q url.Values, rest string) (*http.Request, error) {
	options := connectOptions(c, q, rest)
	if options == nil || len(s.Admission) == 0 {
		return r, nil
	}
	if q.Has("dryRun") {
		return r, apierrors.NewBadRequest("dryRun is not supported")
	}
	w := s.newWrite(c, request.Connect, nil, nil)
	w.Body = options
	if err := s.admit(w); err != nil || w.Body == options || c.subresource == "proxy" {
		return r, err // where a proxy leads was authorized
	}
	changed, err := queryparams.Convert(w.Body)
	if err != nil {
		return r, apierrors.NewInternalError(err)
	}
	r = r.Clone(r.Context())
	r.URL.RawQuery = changed.Encode()
	return r, nil
}

// connectOptions is the object that a connection is about (k8s.io/api core/v1); nil for what is no connection.
func connectOptions(c *call, q url.Values, rest string) runtime.Object {
	switch c.kind.Resource + "/" + c.subresource {
	case "pods/exec":
		return &corev1.PodExecOptions{Stdin: isTrue(q, "stdin"), Stdout: isTrue(q, "stdout"), Stderr: isTrue(q, "stderr"), TTY: isTrue(q, "tty"),
			Container: q.Get("container"), Command: q["command"]}
	case "pods/attach":
		return &corev1.PodAttachOptions{Stdin: isTrue(q, "stdin"), Stdout: isTrue(q, "stdout"), Stderr: isTrue(q, "stderr"), TTY: isTrue(q, "tty"),
			Container: q.Get("container")}
	case "pods/portforward":
		return &corev1.PodPortForwardOptions{Ports: portList(q["ports"])}
	case "pods/proxy":
		return &corev1.PodProxyOptions{Path: rest}
	case "services/proxy":
		return &corev1.ServiceProxyOptions{Path: rest}
	case "nodes/proxy":
		return &corev1.NodeProxyOptions{Path: rest}
	}
	return nil
}

// portList reads ports that may be repeated or separated by commas; who connects refuses what is none.
func portList(values []string) (out []int32) {
	for _, v := range values {
		for _, p := range strings.Split(v, ",") {
			if n, err := strconv.ParseInt(p, 10, 32); err == nil {
				out = append(out, int32(n))
			}
		}
	}
	return out
}
