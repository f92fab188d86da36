package fake

import (
	"testing"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/enginetest"
)

func TestSuite(t *testing.T) {
	enginetest.Run(t, enginetest.Options{
		New: func(*testing.T) engine.Engine { return New() },
		Image: func(_ *testing.T, e engine.Engine) string {
			e.(*Engine).AddImage(engine.Image{Tags: []string{"busybox:1"}, Size: 1 << 20})
			return "busybox:1"
		},
		Network: true,
	})
}
