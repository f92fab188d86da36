// Package coordination describes the kinds of the API group coordination, one file a kind:
// names, defaults, validation, what an update may change, columns.
package coordination
