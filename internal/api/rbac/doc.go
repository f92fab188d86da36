// Package rbac describes the kinds of the API group rbac, one file a kind:
// names, defaults, validation, what an update may change, columns.
package rbac
