package daemon

import (
	"context"
	"errors"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine/socket"
)

// Engine opens the engine of a cluster whose daemon does not run, for one command.
func Engine(ctx context.Context, c config.Config) (socket.Backend, error) {
	d := &daemon{log: newLog("warn")}
	e, err := d.engineAlone(ctx, c)
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return &lockedEngine{e, d.stop}, nil
}

func (d *daemon) engineAlone(ctx context.Context, c config.Config) (socket.Backend, error) {
	if err := d.settle(c); err != nil {
		return nil, err
	}
	for _, up := range []func(*daemon, context.Context) (string, error){(*daemon).takeLock, (*daemon).keepSettings} {
		if _, err := up(d, ctx); err != nil {
			return nil, err
		}
	}
	return openEngine(ctx, d)
}

// lockedEngine lets go of the cluster's lock when it is closed.
type lockedEngine struct {
	socket.Backend
	release func() error
}

func (l *lockedEngine) Close() error {
	return errors.Join(l.Backend.Close(), l.release())
}
