// Package node describes the kinds of the API group node, one file a kind:
// names, defaults, validation, what an update may change, columns.
package node
