package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// What the containers of a sandbox share besides its pinned namespaces.

// initSuffix makes a sandbox's id that of its init for the keeper. Nobody else gets to see it.
const initSuffix = ".init"

// pidNamespace is the path of the one that the sandbox's containers share. The keeper's minimal init, made for the
// first of them, is its first process.
func (e *Engine) pidNamespace(ctx context.Context, id string) (string, error) {
	s, err := e.sandbox(id)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record.Stopped || s.removed {
		return "", fault.New(fault.Unavailable, "sandbox %s is stopped", id)
	}
	if s.init == 0 {
		if s.init, err = e.startInit(ctx, s); err != nil {
			return "", fmt.Errorf("make PID namespace: %w", err)
		}
	}
	return fmt.Sprintf("/proc/%d/ns/pid", s.init), nil
}

func (e *Engine) startInit(ctx context.Context, s *sandbox) (int, error) {
	id := s.record.ID + initSuffix
	root := filepath.Join(e.sandboxDir(s.record.ID), "init")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return 0, err
	}
	pid, err := e.keeper.Create(ctx, keeper.Container{ID: id, Init: true, Spec: &specs.Spec{
		Version: specs.Version,
		// Nobody, with no rights: all it does is to be there.
		Process: &specs.Process{Cwd: "/", NoNewPrivileges: true, User: specs.User{UID: 65534, GID: 65534}, Capabilities: &specs.LinuxCapabilities{}},
		Root:    &specs.Root{Path: root, Readonly: true},
		Linux: &specs.Linux{
			CgroupsPath: e.containerCgroup(s.record.Config, id),
			Seccomp:     e.defaultProfile(nil),
			Namespaces:  []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.NetworkNamespace}},
		},
	}})
	if err != nil {
		return 0, err
	}
	return pid, e.keeper.Start(ctx, id)
}

// endInit ends whatever is left in the shared PID namespace. It may be repeated.
func (e *Engine) endInit(ctx context.Context, s *sandbox) error {
	if s.init == 0 {
		return nil
	}
	if err := e.keeper.Delete(ctx, s.record.ID+initSuffix); err != nil {
		return err
	}
	s.init = 0
	return nil
}

// adoptInits finds the inits that an earlier process of the engine started. Those of sandboxes that are no more are ended.
func (e *Engine) adoptInits(ctx context.Context, states []keeper.State) error {
	for _, st := range states {
		id, ok := strings.CutSuffix(st.ID, initSuffix)
		if !ok {
			continue
		}
		s := e.sandboxes[id]
		if s == nil || st.Status == keeper.Exited {
			if err := e.keeper.Delete(ctx, st.ID); err != nil {
				return err
			}
		}
		switch {
		case s == nil:
		case st.Status == keeper.Exited:
			e.loseSandbox(s)
		case st.Status == keeper.Created: // never started
			if err := e.keeper.Start(ctx, st.ID); err != nil {
				return err
			}
			fallthrough
		default:
			s.init = st.Pid
		}
	}
	return nil
}

// initEnded stops a sandbox whose PID namespace has ended: all its processes have ended with it.
func (e *Engine) initEnded(ctx context.Context, id string) {
	s, err := e.sandbox(id)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.init == 0 || s.removed {
		return
	}
	e.log.Warn("the init of a sandbox was killed", "sandbox", id)
	if err := e.stopSandbox(ctx, s); err != nil {
		e.log.Error("stop a sandbox that lost its init", "sandbox", id, "error", err)
	}
}

func (e *Engine) shmDir(id string) string { return filepath.Join(e.sandboxDir(id), "shm") }

// makeShm makes the /dev/shm that containers of one IPC namespace expect to share (shm_overview(7)), of docker's size.
func (e *Engine) makeShm(_ context.Context, s *sandbox) error {
	if s.record.Config.IPC == engine.Host {
		return nil
	}
	dir := e.shmDir(s.record.ID)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	const attrs = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	return mount.Tmpfs(dir, attrs, "mode=1777", "size=64m")
}

// shmSource is what containers see at /dev/shm.
func (e *Engine) shmSource(s engine.Sandbox) string {
	if s.Config.IPC == engine.Host {
		return "/dev/shm"
	}
	return e.shmDir(s.ID)
}
