// Package discovery describes the kinds of the API group discovery, one file a kind:
// names, defaults, validation, what an update may change, columns.
package discovery
