package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/env"
	"github.com/dhow-project/dhow/internal/node/logs"
	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/spec"
	"github.com/dhow-project/dhow/internal/node/volume"
)

// builder makes engine configs from pods. It implements pod.Builder.
type builder struct {
	n        *Node
	volumes  *volume.Set
	source   env.Source
	services func() []*corev1.Service // of all namespaces; blocks until they are known
	hostDNS  func() engine.DNS
	users    *userRanges
}

func podLabels(p *corev1.Pod) map[string]string {
	return map[string]string{pod.LabelNamespace: p.Namespace, pod.LabelName: p.Name, pod.LabelUID: string(p.UID)}
}

// Sandbox implements pod.Builder.
func (b *builder) Sandbox(_ context.Context, p *corev1.Pod, attempt uint32) (engine.SandboxConfig, error) {
	host, _, err := spec.Hostname(p, b.n.cfg.DNS.Domain)
	if err != nil {
		return engine.SandboxConfig{}, err
	}
	dir := b.n.LogDir(p)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return engine.SandboxConfig{}, fmt.Errorf("make log directory: %w", err)
	}
	dns := spec.DNS(p, b.hostDNS(), b.n.cfg.DNS.ClusterIP, b.n.cfg.DNS.Domain)
	c := spec.Sandbox(p, attempt, podLabels(p), host, dns, dir, b.n.cfg.PodPids)
	if p.Spec.HostUsers != nil && !*p.Spec.HostUsers {
		if c.User, err = b.users.take(p.UID); err != nil {
			return c, err
		}
	}
	if rc := p.Spec.RuntimeClassName; rc != nil && *rc != "" {
		if c.Runtime, err = b.n.runtime(*rc); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Container implements pod.Builder.
func (b *builder) Container(ctx context.Context, r pod.ContainerRequest) (engine.ContainerConfig, error) {
	c, p := r.Spec, r.Pod
	bad := func(err error) error {
		return &pod.Failure{Reason: pod.ConfigError, Message: err.Error(), Err: err}
	}
	img, err := b.n.cfg.Engine.Image(ctx, r.Image)
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	if err := spec.NonRoot(p, c, img.User); err != nil {
		return engine.ContainerConfig{}, bad(err)
	}
	at := b.n.place(p, r.Sandbox)
	vars, err := env.Make(ctx, b.source, p, c, b.linked(p), at)
	if err != nil {
		return engine.ContainerConfig{}, bad(err)
	}
	mounts, err := b.mounts(p, c, r, vars)
	if err != nil {
		return engine.ContainerConfig{}, bad(err)
	}
	labels := podLabels(p)
	labels[pod.LabelContainer] = c.Name
	cfg := engine.ContainerConfig{
		Name: c.Name, Attempt: r.Attempt, Image: r.Image,
		Command: expandAll(c.Command, vars), Args: expandAll(c.Args, vars),
		WorkingDir: c.WorkingDir, Env: b.withHostname(vars, r.Sandbox),
		Mounts: mounts, Labels: labels,
		Annotations: map[string]string{pod.AnnotationHash: pod.SpecHash(c)},
		LogPath:     fmt.Sprintf("%s/%d.log", c.Name, r.Attempt),
		Stdin:       c.Stdin, StdinOnce: c.StdinOnce, TTY: c.TTY,
		Resources: spec.Container(p, c, b.n.memory()),
		Security:  spec.Security(p, c, filepath.Join(b.n.cfg.Dir, "seccomp")),
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		cfg.StopSignal = string(*c.Lifecycle.StopSignal)
	}
	if r.Target != "" {
		cfg.PID, cfg.PIDTarget = engine.Target, r.Target
	}
	return cfg, nil
}

func (b *builder) withHostname(vars env.Vars, s *engine.Sandbox) []string {
	l := vars.List()
	if _, ok := vars.Lookup("HOSTNAME"); !ok && s.Config.Hostname != "" {
		l = append(l, "HOSTNAME="+s.Config.Hostname)
	}
	return l
}

func expandAll(l []string, vars env.Vars) []string {
	out := make([]string, len(l))
	for i := range l {
		out[i] = env.Expand(l[i], vars.Lookup)
	}
	return out
}

// linked are the services announced to a pod: the API's own always, those of its namespace when it wants them.
func (b *builder) linked(p *corev1.Pod) (out []*corev1.Service) {
	links := p.Spec.EnableServiceLinks == nil || *p.Spec.EnableServiceLinks
	for _, s := range b.services() {
		if s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes" || links && s.Namespace == p.Namespace {
			out = append(out, s)
		}
	}
	return out
}

// mounts are the container's volumes, its hosts file and its termination message file.
func (b *builder) mounts(p *corev1.Pod, c *corev1.Container, r pod.ContainerRequest, vars env.Vars) ([]engine.Mount, error) {
	var out []engine.Mount
	ownHosts := false
	for i := range c.VolumeMounts {
		m, err := b.volumes.Mount(p, &c.VolumeMounts[i], func(s string) (string, error) {
			var missing string
			sub := env.Expand(s, func(name string) (string, bool) {
				v, ok := vars.Lookup(name)
				if !ok {
					missing = name
				}
				return v, ok
			})
			if missing != "" {
				return "", fmt.Errorf("missing value for %q", missing)
			}
			return sub, nil
		})
		if err != nil {
			return nil, err
		}
		ownHosts = ownHosts || filepath.Clean(m.Target) == "/etc/hosts"
		out = append(out, m)
	}
	mapped := p.Spec.HostUsers != nil && !*p.Spec.HostUsers
	if !ownHosts {
		path := filepath.Join(b.volumes.PodDir(p.UID), "etc-hosts")
		if err := b.writeHosts(p, r.Sandbox, path); err != nil {
			return nil, err
		}
		out = append(out, engine.Mount{Source: path, Target: "/etc/hosts", MapIDs: mapped})
	}
	if c.TerminationMessagePath != "" {
		path := b.messagePath(p, c.Name, r.Attempt)
		if err := touch(path); err != nil {
			return nil, err
		}
		out = append(out, engine.Mount{Source: path, Target: c.TerminationMessagePath, MapIDs: mapped})
	}
	return out, nil
}

func (b *builder) writeHosts(p *corev1.Pod, s *engine.Sandbox, path string) error {
	host, domain, err := spec.Hostname(p, b.n.cfg.DNS.Domain)
	if err != nil {
		return err
	}
	var node []byte
	if p.Spec.HostNetwork {
		node, _ = os.ReadFile(filepath.Join(b.n.cfg.HostRoot, "etc/hosts"))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	// In place: running containers have this very file mounted.
	if err := os.WriteFile(path, spec.Hosts(p, s.IPs, host, domain, node), 0o644); err != nil {
		return fmt.Errorf("write hosts file: %w", err)
	}
	return os.Chmod(path, 0o644)
}

func (b *builder) messagePath(p *corev1.Pod, name string, attempt uint32) string {
	return filepath.Join(b.volumes.PodDir(p.UID), "containers", name, fmt.Sprint(attempt))
}

// touch makes an empty file that everybody may write, whoever the container runs as.
func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return fmt.Errorf("make termination message file: %w", err)
	}
	defer f.Close()
	return f.Chmod(0o666)
}

// Bounds of a termination message (API reference).
const (
	maxMessage      = 4096
	maxMessageLog   = 2048
	maxMessageLines = 80
)

// Message implements pod.Builder.
func (b *builder) Message(p *corev1.Pod, c *corev1.Container, n *engine.Container) string {
	msg := readHead(b.messagePath(p, c.Name, n.Config.Attempt), maxMessage)
	if msg == "" && n.ExitCode != 0 && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		return logs.Tail(filepath.Join(b.n.LogDir(p), n.Config.LogPath), maxMessageLines, maxMessageLog)
	}
	return msg
}

// readHead reads at most n bytes of a regular file that a container wrote: never through a link it left there.
func readHead(path string, n int) string {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return ""
	}
	defer root.Close()
	if st, err := root.Lstat(filepath.Base(path)); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	f, err := root.Open(filepath.Base(path))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, n)
	got, _ := f.Read(buf)
	return strings.ToValidUTF8(string(buf[:got]), "\uFFFD")
}

// hostDNS reads the machine's resolv.conf once: systemd-resolved's stub answers only on the machine itself, so its
// upstream file is used then.
func (n *Node) hostDNS() func() engine.DNS {
	return sync.OnceValue(func() engine.DNS {
		b, _ := os.ReadFile(filepath.Join(n.cfg.HostRoot, "etc/resolv.conf"))
		d := spec.ParseResolvConf(b)
		if len(d.Servers) == 1 && d.Servers[0] == "127.0.0.53" {
			if b, err := os.ReadFile(filepath.Join(n.cfg.HostRoot, "run/systemd/resolve/resolv.conf")); err == nil {
				d = spec.ParseResolvConf(b)
			}
		}
		return d
	})
}
