// Package mount makes and places mounts by file descriptor.
//
// A path inside a container's root is never given to the kernel as a plain
// string: it is opened with openat2 below the root's descriptor, and mounts are
// moved onto that descriptor. Read root.go first. It knows nothing of containers.
package mount
