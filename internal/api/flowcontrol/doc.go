// Package flowcontrol describes the kinds of the API group flowcontrol, one file a kind:
// names, defaults, validation, what an update may change, columns.
package flowcontrol
