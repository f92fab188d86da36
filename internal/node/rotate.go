package node

import (
	"context"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/logs"
	"github.com/dhow-project/dhow/internal/node/pod"
)

// rotateLogs moves large logs aside. It rides on the lease's tick: one stat a running container each ten seconds costs
// microseconds, while watching the files would wake us at every line a container writes.
func (p *pods) rotateLogs(ctx context.Context) {
	for _, c := range p.runningContainers() {
		path := filepath.Join(p.n.LogDir(c.api), c.Config.LogPath)
		err := logs.Rotate(path, logs.MaxSize, time.Now(), func() error { return p.n.cfg.Engine.ReopenLog(ctx, c.ID) })
		if err != nil {
			p.n.log.Warn("log not rotated", "path", path, "error", err)
		}
	}
}

type running struct {
	engine.Container
	api *corev1.Pod
}

func (p *pods) runningContainers() (out []running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.workers {
		for _, c := range e.Containers() {
			if c.State == engine.ContainerRunning && c.Config.LogPath != "" {
				out = append(out, running{c, e.api})
			}
		}
	}
	return out
}

var _ pod.Recorder = (*recorder)(nil)
