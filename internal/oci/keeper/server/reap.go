package server

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
)

// await blocks until the process of a pidfd has ended, without a thread: a pidfd
// becomes readable then. The descriptor is closed. It does not reap.
func await(pidfd int) error {
	f := nonblock(pidfd, "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err != nil && err != unix.EINTR || n > 0
	})
}

// watch waits for the end of a container's process and records it.
func (s *Server) watch(b *box) {
	s.group.Add(1)
	go func() {
		defer s.group.Done()
		pidfd, err := unix.FcntlInt(uintptr(b.pidfd), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			err = await(pidfd)
		}
		if err != nil {
			s.log.Error("cannot watch a container", "container", b.state.ID, "err", err)
		}
		s.upgrading.RLock()
		code, sig, err := proc.Reap(b.state.Pid)
		s.upgrading.RUnlock()
		if err != nil {
			s.log.Error("cannot learn how a container ended", "container", b.state.ID, "err", err)
			code = 255
		}
		s.ended(b, code, sig)
	}()
}

// ended records an exit, and ends what the container leaves behind in a PID namespace of others. Output that is still in the pipes is written first,
// unless a process left behind holds them open: it gets a moment only.
func (s *Server) ended(b *box, code, sig int) {
	if b.strays {
		killCgroup(b.state.Cgroups)
	}
	drained := make(chan struct{})
	go func() { b.outputs.Wait(); close(drained) }()
	grace := time.NewTimer(200 * time.Millisecond)
	select {
	case <-drained:
	case <-grace.C:
	}
	grace.Stop()
	s.upgrading.RLock()
	defer s.upgrading.RUnlock()
	b.mu.Lock()
	st := &b.state
	st.Status, st.ExitCode, st.Signal, st.Finished = proto.Exited, code, sig, time.Now()
	st.OOMKilled = code != 0 && oomKills(st.Cgroups) > 0
	if b.child != nil {
		b.child.Abandon()
		b.child = nil
	}
	unix.Close(b.pidfd)
	b.pidfd = -1
	s.publish(*st)
	b.mu.Unlock()
	close(b.gone)
}

// signal reaches exactly the process meant, never one that got its number later.
func (b *box) signal(sig int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pidfd < 0 {
		return os.ErrProcessDone
	}
	return unix.PidfdSendSignal(b.pidfd, unix.Signal(sig), nil, 0)
}
