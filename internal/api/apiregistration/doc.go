// Package apiregistration describes the kinds of the API group apiregistration.k8s.io, one file a kind:
// names, defaults, validation, what an update may change, columns.
package apiregistration
