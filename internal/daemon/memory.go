package daemon

import (
	"context"

	"github.com/dhow-project/dhow/internal/x/scavenge"
)

// scavenge lets memory follow what there is, down too.
func (d *daemon) scavenge(context.Context) (string, error) {
	d.live("memory", scavenge.Run)
	return "", nil
}
