// Package apps describes the kinds of the API group apps, one file a kind:
// names, defaults, validation, what an update may change, columns.
package apps
