package daemon

import (
	"context"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine/socket"
)

// Engine opens the engine of a cluster whose daemon does not run, for one command.
func Engine(ctx context.Context, c config.Config) (socket.Backend, error) {
	c, err := settle(c)
	if err != nil {
		return nil, err
	}
	d := &daemon{config: c, layout: c.Places(), log: newLog("warn")}
	release, err := lock(d.layout)
	if err != nil {
		return nil, err
	}
	e, err := openEngine(ctx, d)
	if err != nil {
		release()
		return nil, err
	}
	return &lockedEngine{e, release}, nil
}

// lockedEngine lets go of the cluster's lock when it is closed.
type lockedEngine struct {
	socket.Backend
	release func()
}

func (l *lockedEngine) Close() error {
	defer l.release()
	return l.Backend.Close()
}
