// Package authorization describes the kinds of the API group authorization, one file a kind:
// names, defaults, validation, what an update may change, columns.
package authorization
