package daemon

import (
	"context"

	"github.com/dhow-project/dhow/internal/linux/pages"
	"github.com/dhow-project/dhow/internal/x/scavenge"
)

// scavenge lets memory follow what there is, down too.
func (d *daemon) scavenge(context.Context) (string, error) {
	d.live("memory", func(ctx context.Context) error {
		return scavenge.Run(ctx, func() {
			if err := pages.Forget(); err != nil {
				d.log.Warn("keep pages of the program", "err", err)
			}
		})
	})
	return "", nil
}
