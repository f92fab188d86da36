package socket

import (
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

const argsHeader = "Dhow-Args"

type (
	pullArgs struct {
		Ref   string
		Auths []engine.Auth
	}
	tagArgs    struct{ Src, Dst string }
	createArgs struct {
		Sandbox string
		Config  engine.ContainerConfig
	}
	stopArgs struct {
		ID    string
		Grace time.Duration
	}
	updateArgs struct {
		ID        string
		Resources engine.Resources
	}
	dialArgs struct {
		ID   string
		Port uint16
	}
	attachArgs struct {
		ID string
		have
	}
	execArgs struct {
		ID      string
		Command []string
		User    string
		Env     []string
		Dir     string
		All     bool // privileged
		have
	}
)

// have says which streams the caller connected.
type have struct{ Stdin, Stdout, Stderr, TTY bool }

func streamsOf(s engine.Streams) have {
	return have{s.Stdin != nil, s.Stdout != nil, s.Stderr != nil, s.TTY}
}

// only drops the streams that the caller did not connect.
func (h have) only(s engine.Streams) engine.Streams {
	s.TTY = h.TTY
	if !h.Stdin {
		s.Stdin = nil
	}
	if !h.Stdout {
		s.Stdout = nil
	}
	if !h.Stderr {
		s.Stderr = nil
	}
	return s
}

func (a execArgs) config(s engine.Streams) engine.ExecConfig {
	return engine.ExecConfig{
		Command: a.Command, User: a.User, Env: a.Env, WorkingDir: a.Dir, Privileged: a.All,
		Streams: a.only(s),
	}
}
