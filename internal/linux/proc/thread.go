package proc

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread runs f on an operating system thread of its own, which ends with
// f: f may change the thread's namespaces, cgroup and working directory without a trace.
func OnThread(f func() error) error {
	done := make(chan error, 1)
	go onThread(f, done)
	return <-done
}

func onThread(f func() error, done chan<- error) {
	// Never unlocked: the runtime ends the thread of a goroutine that returns locked.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread is the one that /proc/<pid> shows and cannot end. Keep it busy here
		// while another one does the work; then it goes back into service, unchanged.
		done <- OnThread(f)
		runtime.UnlockOSThread()
		return
	}
	done <- f()
}
