package probe

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

// Hooks runs lifecycle handlers. It implements pod.Hooks.
type Hooks struct{ *Checker }

// Run performs one handler: a command, a request, or a sleep. Any HTTP answer counts as done, as upstream.
func (h Hooks) Run(ctx context.Context, _ *corev1.Pod, c *corev1.Container, id, podIP string, l *corev1.LifecycleHandler) error {
	switch {
	case l.Exec != nil:
		out := &limited{most: maxOutput}
		code, err := h.Exec(ctx, id, engine.ExecConfig{Command: l.Exec.Command, Streams: engine.Streams{Stdout: out, Stderr: out}})
		if err != nil {
			return fmt.Errorf("exec %q: %w", strings.Join(l.Exec.Command, " "), err)
		}
		if code != 0 {
			return fmt.Errorf("exec %q: exit code %d: %s", strings.Join(l.Exec.Command, " "), code, out.b)
		}
		return nil
	case l.HTTPGet != nil:
		r, err := Request(ctx, Target{Spec: c, ID: id, IP: podIP}, l.HTTPGet, "kube-lifecycle/1.36")
		if err != nil {
			return err
		}
		res, err := h.client().Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, _ = io.CopyN(io.Discard, res.Body, maxOutput)
		return nil
	case l.Sleep != nil:
		t := time.NewTimer(time.Duration(l.Sleep.Seconds) * time.Second)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("the hook has no action")
}
