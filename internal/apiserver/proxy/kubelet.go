package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver"
)

// kubeletPort is where a node listens that does not say.
const kubeletPort = 10250

func findPod(c *apiserver.Connection) (*corev1.Pod, error) {
	gr := schema.GroupResource{Resource: "pods"}
	obj, ok := c.Reader.Get(c.Reader.Registry().Resource(gr), c.Namespace, c.Name)
	if !ok {
		return nil, apierrors.NewNotFound(gr, c.Name)
	}
	return obj.(*corev1.Pod), nil
}

// nodeURL is the address of a node's kubelet, the most direct first.
func nodeURL(c *apiserver.Connection, name string) (*url.URL, error) {
	gr := schema.GroupResource{Resource: "nodes"}
	obj, ok := c.Reader.Get(c.Reader.Registry().Resource(gr), "", name)
	if !ok {
		return nil, apierrors.NewNotFound(gr, name)
	}
	node := obj.(*corev1.Node)
	port := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = kubeletPort
	}
	for _, typ := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName} {
		for _, a := range node.Status.Addresses {
			if a.Type == typ {
				return &url.URL{Scheme: "https", Host: net.JoinHostPort(a.Address, strconv.Itoa(port))}, nil
			}
		}
	}
	return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("node %q has no address yet", name))
}

// onNode is the target path on the node that runs the connection's pod.
func onNode(c *apiserver.Connection, pod *corev1.Pod, q url.Values, path ...string) (*target, error) {
	if pod.Spec.NodeName == "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	u, err := nodeURL(c, pod.Spec.NodeName)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawQuery = "/"+strings.Join(path, "/"), q.Encode()
	return &target{url: u, node: true}, nil
}

const defaultContainer = "kubectl.kubernetes.io/default-container"

// container picks the container asked for, or the only sensible one.
func container(pod *corev1.Pod, name string) (string, error) {
	var all, extra []string
	for _, ct := range pod.Spec.Containers {
		all = append(all, ct.Name)
	}
	for _, ct := range pod.Spec.InitContainers {
		extra = append(extra, ct.Name)
	}
	for _, ct := range pod.Spec.EphemeralContainers {
		extra = append(extra, ct.Name)
	}
	if name == "" {
		name = pod.Annotations[defaultContainer]
	}
	switch {
	case name != "":
		for _, have := range append(all, extra...) {
			if have == name {
				return name, nil
			}
		}
		return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
	case len(all) == 1:
		return all[0], nil
	}
	text := fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, all)
	if len(pod.Spec.InitContainers) > 0 {
		text += fmt.Sprintf(" or one of the init containers: %v", extra[:len(pod.Spec.InitContainers)])
	}
	return "", apierrors.NewBadRequest(text)
}

// execTarget: PodExecOptions and PodAttachOptions become the kubelet's parameters.
func execTarget(verb string) locate {
	return func(r *http.Request, c *apiserver.Connection) (*target, error) {
		pod, err := findPod(c)
		if err != nil {
			return nil, err
		}
		q := r.URL.Query()
		name, err := container(pod, q.Get("container"))
		if err != nil {
			return nil, err
		}
		out := url.Values{}
		stdout, stderr := flag(q, "stdout", verb == "attach"), flag(q, "stderr", verb == "attach")
		for param, on := range map[string]bool{
			corev1.ExecStdinParam: flag(q, "stdin", false), corev1.ExecStdoutParam: stdout,
			corev1.ExecStderrParam: stderr, corev1.ExecTTYParam: flag(q, "tty", false),
		} {
			if on {
				out.Set(param, "1")
			}
		}
		if verb == "exec" {
			if out[corev1.ExecCommandParam] = q["command"]; len(q["command"]) == 0 {
				return nil, apierrors.NewBadRequest("you must specify at least one command for the container")
			}
		}
		return onNode(c, pod, out, verb, pod.Namespace, pod.Name, name)
	}
}

func flag(q url.Values, name string, unset bool) bool {
	v, ok := q[name]
	if !ok {
		return unset
	}
	return len(v) > 0 && v[0] != "false" && v[0] != "0"
}

func portforwardTarget(r *http.Request, c *apiserver.Connection) (*target, error) {
	pod, err := findPod(c)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	if ports := r.URL.Query()["ports"]; len(ports) > 0 {
		q.Set(corev1.PortHeader, strings.Join(ports, ","))
	}
	return onNode(c, pod, q, "portForward", pod.Namespace, pod.Name)
}

// logParams of PodLogOptions that the kubelet takes under the same names.
var logParams = []string{"follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"}

func logTarget(r *http.Request, c *apiserver.Connection) (*target, error) {
	pod, err := findPod(c)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	name, err := container(pod, q.Get("container"))
	if err != nil {
		return nil, err
	}
	out := url.Values{}
	for _, p := range logParams {
		if q.Has(p) {
			out.Set(p, q.Get(p))
		}
	}
	return onNode(c, pod, out, "containerLogs", pod.Namespace, pod.Name, name)
}

// nodeTarget proxies to the kubelet's own server.
func nodeTarget(r *http.Request, c *apiserver.Connection) (*target, error) {
	_, name, port, err := splitName(c.Name)
	if err != nil {
		return nil, err
	}
	u, err := nodeURL(c, name)
	if err != nil {
		return nil, err
	}
	if port != "" && port != u.Port() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("node %q can be reached at port %s only", name, u.Port()))
	}
	u.Path, u.RawQuery = withSlash(c.Path), r.URL.RawQuery
	return &target{url: u, node: true, relocate: true}, nil
}
