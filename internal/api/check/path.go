package check

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// NoBacksteps refuses ".." elements.
func NoBacksteps(p *field.Path, v string) field.ErrorList {
	for e := range strings.SplitSeq(v, "/") {
		if e == ".." {
			return One(field.Invalid(p, v, "must not contain '..'"))
		}
	}
	return nil
}

// DescendingPath wants a relative path without "..".
func DescendingPath(p *field.Path, v string) field.ErrorList {
	var errs field.ErrorList
	if path.IsAbs(v) {
		errs = append(errs, field.Invalid(p, v, "must be a relative path"))
	}
	return append(errs, NoBacksteps(p, v)...)
}

// VolumePath is DescendingPath for files that a volume's writer makes: names with ".." in front are its own.
func VolumePath(p *field.Path, v string) field.ErrorList {
	errs := DescendingPath(p, v)
	if strings.HasPrefix(v, "..") && !strings.HasPrefix(v, "../") {
		errs = append(errs, field.Invalid(p, v, "must not start with '..'"))
	}
	return errs
}
