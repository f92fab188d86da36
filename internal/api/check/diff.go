package check

import "k8s.io/apimachinery/pkg/util/diff"

// Diff shows people what changed between two values.
func Diff(old, now any) string { return diff.Diff(old, now) }
