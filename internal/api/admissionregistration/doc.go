// Package admissionregistration describes the kinds of the API group admissionregistration, one file a kind:
// names, defaults, validation, what an update may change, columns.
package admissionregistration
