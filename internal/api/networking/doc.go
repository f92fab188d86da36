// Package networking describes the kinds of the API group networking, one file a kind:
// names, defaults, validation, what an update may change, columns.
package networking
