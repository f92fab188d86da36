package keeper

import (
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/seccomp"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
)

// filterCache compiles a profile once as long as its owner uses the same one: containers share the default profile.
type filterCache struct {
	mu   sync.Mutex
	last *specs.LinuxSeccomp
	prog *proto.Filter
}

func (c *filterCache) compile(p *specs.LinuxSeccomp) (*proto.Filter, error) {
	if p == nil {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == c.last {
		return c.prog, nil
	}
	prog, flags, err := seccomp.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	c.last, c.prog = p, &proto.Filter{Program: prog, Flags: flags}
	return c.prog, nil
}
