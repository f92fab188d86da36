package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/pod"
)

// found is what the engine had when the node started, by pod uid, until its pod is seen.
type found struct {
	sandboxes  map[string][]engine.Sandbox
	containers map[string][]engine.Container
}

// take hands out what belongs to a pod, once.
func (f *found) take(uid string) ([]engine.Sandbox, []engine.Container) {
	s, c := f.sandboxes[uid], f.containers[uid]
	delete(f.sandboxes, uid)
	delete(f.containers, uid)
	return s, c
}

// adopt lists the engine once. Labels say what belongs to which pod; what has none is not ours.
func (p *pods) adopt(ctx context.Context) error {
	sandboxes, err := p.n.cfg.Engine.ListSandboxes(ctx, engine.Filter{})
	if err != nil {
		return fmt.Errorf("list sandboxes: %w", err)
	}
	containers, err := p.n.cfg.Engine.ListContainers(ctx, engine.Filter{})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	sort.SliceStable(sandboxes, func(i, j int) bool { return sandboxes[i].Config.Attempt < sandboxes[j].Config.Attempt })
	f := found{map[string][]engine.Sandbox{}, map[string][]engine.Container{}}
	owner := map[string]string{}
	for _, s := range sandboxes {
		if uid := s.Config.Labels[pod.LabelUID]; uid != "" {
			f.sandboxes[uid] = append(f.sandboxes[uid], s)
			owner[s.ID] = uid
		}
	}
	for _, c := range containers {
		if uid := owner[c.SandboxID]; uid != "" {
			f.containers[uid] = append(f.containers[uid], c)
		}
	}
	p.mu.Lock()
	p.found = f
	p.mu.Unlock()
	return nil
}

// removeOrphans takes down what no pod of the API claimed.
func (p *pods) removeOrphans(ctx context.Context) {
	p.mu.Lock()
	left := p.found.sandboxes
	p.found = found{}
	p.mu.Unlock()
	for uid, l := range left {
		for _, s := range l {
			p.n.log.Info("removing sandbox of a pod the API has no more", "uid", uid, "sandbox", s.ID)
			if err := p.n.cfg.Engine.RemoveSandbox(ctx, s.ID); err != nil {
				p.n.log.Warn("orphan not removed; the next start tries again", "sandbox", s.ID, "error", err)
			}
		}
	}
	alive := map[string]bool{}
	for _, pod := range p.list() {
		alive[string(pod.UID)] = true
	}
	var dirs []string
	have, _ := os.ReadDir(filepath.Join(p.n.cfg.Dir, "pods"))
	for _, e := range have {
		dirs = append(dirs, e.Name())
	}
	p.n.sweepDirs(dirs, alive)
	p.sweepLogs(alive)
}

// sweepLogs removes the log directories of pods that are no more; their names end in _<uid>.
func (p *pods) sweepLogs(alive map[string]bool) {
	have, _ := os.ReadDir(p.n.cfg.LogDir)
	for _, e := range have {
		i := strings.LastIndexByte(e.Name(), '_')
		if i < 0 || !e.IsDir() || alive[e.Name()[i+1:]] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.n.cfg.LogDir, e.Name())); err != nil {
			p.n.log.Warn("logs of a former pod not removed", "dir", e.Name(), "error", err)
		}
	}
}
