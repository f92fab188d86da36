// Package keeper talks to the keeper: the small process that is the parent of
// every container of one engine directory (package server).
//
// What needs a library is done on this side: cgroups and seccomp programs. Read api.go first, then client.go.
package keeper
