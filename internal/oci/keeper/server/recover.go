package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
)

// record is what is on disk of a container. It survives the keeper, not the machine: nothing is synced.
type record struct {
	proto.State
	Birth uint64
	Boot  string
}

func (s *Server) stateDir() string { return filepath.Join(s.dir, "state") }

func (s *Server) stateFile(id string) string { return filepath.Join(s.stateDir(), id+".json") }

// remember replaces a container's record.
func (s *Server) remember(st proto.State) error {
	r := record{State: st, Boot: bootID()}
	s.mu.Lock()
	if b := s.boxes[st.ID]; b != nil {
		r.Birth = b.birth
	}
	s.mu.Unlock()
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := s.stateFile(st.ID) + "~"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	// As long as there is another file of that name, ext4 would write this one out at once. Until it is renamed it is
	// found by its other name.
	if err := os.Remove(s.stateFile(st.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(tmp, s.stateFile(st.ID))
}

func (s *Server) forget(id string) error {
	if err := os.Remove(s.stateFile(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget container %s: %w", id, err)
	}
	return nil
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// Recover reads what a keeper that did not end by itself left behind. Containers that were
// alive cannot be taken over (see the package comment): what is left of them is killed, and they are reported as lost.
func (s *Server) Recover() error {
	entries, err := os.ReadDir(s.stateDir())
	if err != nil {
		return fmt.Errorf("read states: %w", err)
	}
	for _, e := range entries {
		name := filepath.Join(s.stateDir(), e.Name())
		if whole, ok := strings.CutSuffix(name, "~"); ok {
			if _, err := os.Lstat(whole); err == nil {
				os.Remove(name) // may be torn
				continue
			}
			if err := os.Rename(name, whole); err != nil {
				return fmt.Errorf("read state: %w", err)
			}
			name = whole
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read state: %w", err)
		}
		var r record
		if err := json.Unmarshal(data, &r); err != nil || !validID(r.ID) {
			s.log.Warn("unreadable state is left out", "file", name, "err", err)
			continue
		}
		s.recoverOne(r)
	}
	return nil
}

func (s *Server) recoverOne(r record) {
	b := &box{state: r.State, birth: r.Birth, pidfd: -1, log: &logFile{}, gone: make(chan struct{})}
	close(b.gone)
	s.boxes[r.ID] = b
	if r.Status == proto.Exited {
		return
	}
	st := &b.state
	st.Status, st.ExitCode, st.Signal, st.Finished = proto.Exited, 255, 0, now()
	st.Message = "lost: its keeper was killed"
	if r.Boot != bootID() {
		st.Message = "lost: the machine was restarted"
	} else {
		killCgroup(st.Cgroups)
		killExactly(r.Pid, r.Birth)
	}
	s.log.Warn("container is lost", "container", st.ID, "reason", st.Message)
	s.publish(*st)
}

// killExactly kills a process unless its number belongs to another one now.
func killExactly(pid int, birth uint64) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if birth != 0 && proc.StartTime(pid) == birth {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
