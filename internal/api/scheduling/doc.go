// Package scheduling describes the kinds of the API group scheduling, one file a kind:
// names, defaults, validation, what an update may change, columns.
package scheduling
