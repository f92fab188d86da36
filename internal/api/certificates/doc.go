// Package certificates describes the kinds of the API group certificates, one file a kind:
// names, defaults, validation, what an update may change, columns.
package certificates
