// Package authentication describes the kinds of the API group authentication, one file a kind:
// names, defaults, validation, what an update may change, columns.
package authentication
