package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/image/registry"
	"github.com/dhow-project/dhow/internal/pki"
	"github.com/dhow-project/dhow/internal/x/atomicfile"

	stdlog "log"
)

// contextName is the kubeconfig context of a cluster: "dhow", or "dhow-NAME".
func contextName(c config.Config) string {
	if c.Name == config.DefaultName {
		return c.Name
	}
	return "dhow-" + c.Name
}

// writeKubeconfig gives the administrator access: a file of its own in the data directory, and a context
// in the user's. The user's file being unwritable is no reason not to start.
func (d *daemon) writeKubeconfig(context.Context) (string, error) {
	admin, err := d.keys.CA.Issue(pki.Leaf{CommonName: "dhow-admin", Organization: []string{"system:masters"}, Client: true})
	if err != nil {
		return "", err
	}
	cert, key, err := pki.EncodePair(admin)
	if err != nil {
		return "", err
	}
	access := pki.Access{Name: contextName(d.config), Server: d.url(), CA: d.keys.CA.PEM, Cert: cert, Key: key}
	own, err := pki.Kubeconfig(access)
	if err != nil {
		return "", err
	}
	if err := atomicfile.Write(d.layout.Kubeconfig(), own, 0o600); err != nil {
		return "", err
	}
	path, err := d.editUserKubeconfig(func(path string, owner *pki.Owner) error { return pki.MergeKubeconfig(path, owner, access) })
	if err != nil {
		d.log.Warn("merge the user's kubeconfig", "error", err)
		return d.layout.Kubeconfig(), nil
	}
	return fmt.Sprintf("context %q in %s", access.Name, path), nil
}

// editUserKubeconfig lets one cluster at a time change it: another one may start or go at the same moment.
func (d *daemon) editUserKubeconfig(edit func(path string, owner *pki.Owner) error) (string, error) {
	path, owner, err := pki.UserKubeconfig(os.Getenv)
	if err != nil {
		return "", err
	}
	release, err := alone(d.layout)
	if err != nil {
		return "", err
	}
	defer release()
	return path, edit(path, owner)
}

func (d *daemon) greeting() string {
	return fmt.Sprintf("Kubernetes API %s at %s, node %s.", kubernetesVersion, d.url(), d.config.NodeName)
}

// serveEngine opens the socket that the command line uses.
func (d *daemon) serveEngine(context.Context) (string, error) {
	l, err := socket.Listen(d.layout.Socket())
	if err != nil {
		return "", err
	}
	d.live("engine socket", func(ctx context.Context) error { return socket.Serve(ctx, l, d.engine, d.log) })
	return "", nil
}

// serveRegistry offers the node's images to other tools, where the user asked for it.
func (d *daemon) serveRegistry(context.Context) (string, error) {
	if d.config.Registry == "" {
		return "", nil
	}
	l, err := listenTCP(d.config.Registry, "--registry")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: registry.Handler(d.engine.Images(), registry.Options{})}
	d.serve("registry", server, func() error { return server.Serve(l) })
	return d.config.Registry, nil
}

// announce tells others on this machine who runs here.
func (d *daemon) announce(context.Context) (string, error) {
	running := config.Running{
		PID: os.Getpid(), Version: Version, Started: d.started, Ready: time.Now(), URL: d.url(),
		Context: contextName(d.config), Node: d.config.NodeName, Data: d.config.DataDir,
	}
	if err := d.layout.WriteRunning(running); err != nil {
		return "", err
	}
	d.onStop(func() error {
		if d.cause == nil {
			return os.Remove(d.layout.Running())
		}
		running.Failed = d.cause.Error()
		return d.layout.WriteRunning(running)
	})
	return "", nil
}

// waitReady waits for the node to say that it is ready.
func (d *daemon) waitReady(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if n, ok := d.nodes.Get("", d.config.NodeName); ok {
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
					return n.Name, d.markNode(ctx, n)
				}
			}
		}
		select {
		case <-d.nodeChanged:
		case err := <-d.failed:
			return "", err
		case <-ctx.Done():
			return "", fmt.Errorf("the node did not become ready: %w", ctx.Err())
		}
	}
}

// controlPlane is what kubectl shows as the node's role. A node may not give itself a role.
const controlPlane = "node-role.kubernetes.io/control-plane"

func (d *daemon) markNode(ctx context.Context, n *corev1.Node) error {
	if _, ok := n.Labels[controlPlane]; ok {
		return nil
	}
	patch := []byte(`{"metadata":{"labels":{"` + controlPlane + `":""}}}`)
	if _, err := client.For[*corev1.Node](d.conn).Patch(ctx, "", n.Name, "", types.MergePatchType, patch); err != nil {
		return fmt.Errorf("label node %s: %w", n.Name, err)
	}
	return nil
}

func quiet(log *slog.Logger) *stdlog.Logger { return slog.NewLogLogger(log.Handler(), slog.LevelDebug) }
