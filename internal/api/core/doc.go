// Package core describes the kinds of the API group "" (core), one file a kind:
// names, defaults, validation, what an update may change, columns.
package core
