package launch

import (
	"github.com/dhow-project/dhow/internal/x/fault"
)

// copyUp would fill a tmpfs with what it hides (an extension that runc has for
// read-only systems). It is refused until somebody needs it.
func copyUp(from, to int) error {
	return fault.New(fault.Unsupported, "mount option tmpcopyup is not supported")
}
