// Package check holds the validators that kinds share: names, labels, enums,
// numbers, resources.
//
// Every function gives the errors of one value at one path, in the words that
// clients of Kubernetes know. It must not know any kind. Read this file first.
package check

import (
	"fmt"
	"slices"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Messages used in more than one place.
const (
	NotNegative = "must be greater than or equal to 0"
	NotPositive = "must be greater than zero"
	NotInteger  = "must be an integer"
	FileMode    = "must be a number between 0 and 0777 (octal), both inclusive"
)

// Join concatenates.
func Join(lists ...field.ErrorList) field.ErrorList {
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	if n == 0 {
		return nil
	}
	out := make(field.ErrorList, 0, n)
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// One is a list of one error.
func One(e *field.Error) field.ErrorList { return field.ErrorList{e} }

// Invalid makes an error of each message.
func Invalid(p *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(p, value, m))
	}
	return errs
}

// Present wants a value.
func Present(p *field.Path, value string) field.ErrorList {
	if value == "" {
		return One(field.Required(p, ""))
	}
	return nil
}

// OneOf wants one of allowed; the empty string is missing unless it is allowed. The order of allowed is
// the order in the message.
func OneOf[T ~string](p *field.Path, value T, allowed ...T) field.ErrorList {
	switch {
	case slices.Contains(allowed, value):
		return nil
	case value == "":
		return One(field.Required(p, ""))
	}
	return One(field.NotSupported(p, value, allowed))
}

// Supported is OneOf without a special case for the empty string.
func Supported[T ~string](p *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return One(field.NotSupported(p, value, allowed))
}

// OptionalOf is Supported for a pointer; nil is fine.
func OptionalOf[T ~string](p *field.Path, value *T, allowed ...T) field.ErrorList {
	if value == nil {
		return nil
	}
	return Supported(p, *value, allowed...)
}

// DNSLabel is RFC 1123's label.
func DNSLabel(p *field.Path, v string) field.ErrorList {
	return Invalid(p, v, validation.IsDNS1123Label(v))
}

// DNSSubdomain is RFC 1123's subdomain.
func DNSSubdomain(p *field.Path, v string) field.ErrorList {
	return Invalid(p, v, validation.IsDNS1123Subdomain(v))
}

// QualifiedName is an optional DNS prefix, a slash and a name.
func QualifiedName(p *field.Path, v string) field.ErrorList {
	return Invalid(p, v, validation.IsQualifiedName(v))
}

// NonNegative wants 0 or more.
func NonNegative[T ~int | ~int32 | ~int64](p *field.Path, v T) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(v), p)
}

// OptionalNonNegative is NonNegative for a pointer; nil is fine.
func OptionalNonNegative[T ~int | ~int32 | ~int64](p *field.Path, v *T) field.ErrorList {
	if v == nil {
		return nil
	}
	return NonNegative(p, *v)
}

// Port wants 1–65535.
func Port(p *field.Path, n int32) field.ErrorList {
	return Invalid(p, n, validation.IsValidPortNum(int(n)))
}

// Mode wants a file mode between 0 and 0777; nil is fine.
func Mode(p *field.Path, mode *int32) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return One(field.Invalid(p, *mode, FileMode))
	}
	return nil
}

// Immutable wants no change.
func Immutable(p *field.Path, value, old any) field.ErrorList {
	return apivalidation.ValidateImmutableField(value, old, p)
}

// Labels checks keys and values.
func Labels(p *field.Path, labels map[string]string) field.ErrorList {
	return metavalidation.ValidateLabels(labels, p)
}

// LabelName checks a label's key.
func LabelName(p *field.Path, name string) field.ErrorList {
	return metavalidation.ValidateLabelName(name, p)
}

// Annotations checks keys and the total size.
func Annotations(p *field.Path, annotations map[string]string) field.ErrorList {
	return apivalidation.ValidateAnnotations(annotations, p)
}

// Selector checks a label selector; nil is fine.
func Selector(p *field.Path, s *metav1.LabelSelector) field.ErrorList {
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, p)
}

// TemplateMeta checks metadata of which only labels and annotations may be set.
func TemplateMeta(p *field.Path, m *metav1.ObjectMeta) field.ErrorList {
	errs := Join(Annotations(p.Child("annotations"), m.Annotations), Labels(p.Child("labels"), m.Labels))
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"name", m.Name != ""}, {"generateName", m.GenerateName != ""}, {"namespace", m.Namespace != ""},
		{"uid", m.UID != ""}, {"resourceVersion", m.ResourceVersion != ""}, {"generation", m.Generation != 0},
		{"creationTimestamp", !m.CreationTimestamp.IsZero()}, {"deletionTimestamp", m.DeletionTimestamp != nil},
		{"deletionGracePeriodSeconds", m.DeletionGracePeriodSeconds != nil},
		{"ownerReferences", len(m.OwnerReferences) > 0}, {"finalizers", len(m.Finalizers) > 0},
		{"managedFields", len(m.ManagedFields) > 0}, {"selfLink", m.SelfLink != ""},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(p.Child(f.name), "cannot be set"))
		}
	}
	return errs
}

// AtMost wants n ≤ limit, and says so in terms of another field.
func AtMost(p *field.Path, n, limit int32, message string) field.ErrorList {
	if n > limit {
		return One(field.Invalid(p, n, message))
	}
	return nil
}

// NotDecremented is for counters that only grow.
func NotDecremented(p *field.Path, n, old *int32) field.ErrorList {
	if old == nil || n != nil && *n >= *old {
		return nil
	}
	var v int32
	if n != nil {
		v = *n
	}
	return One(field.Invalid(p, v, "cannot be decremented"))
}

// InRange wants lo ≤ v ≤ hi.
func InRange[T ~int | ~int32 | ~int64](p *field.Path, v, lo, hi T) field.ErrorList {
	if v < lo || v > hi {
		return One(field.Invalid(p, v, fmt.Sprintf("must be between %d and %d, inclusive", lo, hi)))
	}
	return nil
}
