// Package policy describes the kinds of the API group policy, one file a kind:
// names, defaults, validation, what an update may change, columns.
package policy
