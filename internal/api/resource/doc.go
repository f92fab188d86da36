// Package resource describes the kinds of the API group resource, one file a kind:
// names, defaults, validation, what an update may change, columns.
package resource
