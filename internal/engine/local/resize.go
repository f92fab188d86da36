package local

import (
	"context"
	"fmt"

	"github.com/dhow-project/dhow/internal/engine"
)

// updateSandbox changes the limits that a sandbox's containers have together.
func (e *Engine) updateSandbox(ctx context.Context, s *sandbox, r engine.Resources) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if parent := s.record.Config.CgroupParent; parent != "" {
		if err := e.keeper.Update(ctx, e.cgroup(parent), linuxResources(r)); err != nil {
			return fmt.Errorf("update sandbox %s: %w", s.record.Config.Name, err)
		}
	}
	s.record.Config.Resources = r
	return saveRecord(e.sandboxDir(s.record.ID), s.record)
}
