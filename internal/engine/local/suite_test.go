package local_test

import (
	"testing"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/enginetest"
)

// TestSuite proves the contract on the real kernel. One engine serves all its tests: each looks at its own things only.
func TestSuite(t *testing.T) {
	e := open(t)
	busybox(t, e)
	enginetest.Run(t, enginetest.Options{
		New:     func(*testing.T) engine.Engine { return e },
		Image:   func(*testing.T, engine.Engine) string { return "busybox" },
		Network: true,
	})
}
