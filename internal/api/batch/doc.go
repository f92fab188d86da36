// Package batch describes the kinds of the API group batch, one file a kind:
// names, defaults, validation, what an update may change, columns.
package batch
