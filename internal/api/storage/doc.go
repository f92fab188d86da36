// Package storage describes the kinds of the API group storage, one file a kind:
// names, defaults, validation, what an update may change, columns.
package storage
