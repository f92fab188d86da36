// Package launch puts a process in a box: it turns a container into an ordered
// list of steps (plan.go, pure) and carries it out (run.go, steps_*.go).
//
// Steps run on an operating system thread of their own that takes on the
// container's cgroup and namespaces; the process is forked from it and runs a table of
// system calls up to execve (child.go). It must not know of sockets, logs or states.
package launch
