// Package proc starts processes the way a container needs it: a table of raw
// system calls prepared beforehand runs in the forked child, and nothing else.
//
// No Go code of ours runs between clone and exec except the loop over the
// table, so the cost is that of the system calls. It knows nothing of
// containers. Read table.go first, then fork.go.
package proc
