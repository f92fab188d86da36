// Package autoscaling describes the kinds of the API group autoscaling, one file a kind:
// names, defaults, validation, what an update may change, columns.
package autoscaling
