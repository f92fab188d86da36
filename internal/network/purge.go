package network

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Purge detaches everything, removes all that was made and restores what was changed. The manager is closed by it.
func (m *Manager) Purge(ctx context.Context) error {
	err := m.Reconcile(ctx, nil)
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.hw.Stop()
	err = errors.Join(err, m.hw.Wait())

	m.mu.Lock()
	doomed := append(m.pool, m.dead...)
	m.pool, m.dead = nil, nil
	m.mu.Unlock()
	err = errors.Join(err, m.takeApart(doomed...), m.nft.Delete(m.names.table), m.deleteLink(m.names.bridge), m.restoreSysctls())
	m.host.Close()
	m.nft.Close()
	if err != nil {
		return fmt.Errorf("purge network: %w", err)
	}
	if err := os.RemoveAll(m.cfg.Dir); err != nil {
		return fmt.Errorf("purge network: %w", err)
	}
	return nil
}
