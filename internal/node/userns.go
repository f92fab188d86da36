package node

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/engine"
)

// userRanges gives pods with hostUsers: false their own 65536 host ids each (KEP-127). The sandboxes themselves remember
// who has what, so a restarted node learns it from the engine.
type userRanges struct {
	mu    sync.Mutex
	owner map[types.UID]uint32 // → index
	taken map[uint32]bool
}

const (
	rangeLength = 65536
	firstRange  = 1    // the first 65536 ids are the host's own
	mostRanges  = 4096 // far below 2^32 / 65536
)

func newUserRanges() *userRanges {
	return &userRanges{owner: map[types.UID]uint32{}, taken: map[uint32]bool{}}
}

func (u *userRanges) take(uid types.UID) (*engine.UserNamespace, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i, ok := u.owner[uid]
	for i = max(i, firstRange); !ok && i <= mostRanges; i++ {
		if !u.taken[i] {
			u.owner[uid], u.taken[i], ok = i, true, true
			break
		}
	}
	if !ok {
		return nil, fmt.Errorf("no range of user ids is left for the pod's user namespace")
	}
	return &engine.UserNamespace{HostID: i * rangeLength, Length: rangeLength}, nil
}

// adopt remembers a range found in use.
func (u *userRanges) adopt(uid types.UID, n *engine.UserNamespace) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.owner[uid], u.taken[n.HostID/rangeLength] = n.HostID/rangeLength, true
}

func (u *userRanges) free(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i, ok := u.owner[uid]; ok {
		delete(u.taken, i)
		delete(u.owner, uid)
	}
}
