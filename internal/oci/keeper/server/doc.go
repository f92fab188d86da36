// Package server is the keeper itself: the parent of every container of one
// engine directory. It reaps them, holds their streams, writes their logs, and
// remembers how they ended; it outlives those who talk to it.
//
// It must stay small: no cgroup library, no seccomp compiler, no Kubernetes. The
// client does that work. Read server.go first, then box.go (one container).
//
// If the keeper itself is killed, the kernel gives its containers to init. Nobody
// reads their output then and nobody can learn their exit code, so the next keeper kills what is
// left in their cgroups and reports them as lost (recover.go).
package server
