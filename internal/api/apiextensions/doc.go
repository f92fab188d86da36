// Package apiextensions describes the kinds of the API group apiextensions, one file a kind:
// names, defaults, validation, what an update may change, columns.
package apiextensions
