package check

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// PortOrName wants a port's number or its IANA service name.
func PortOrName(p *field.Path, v intstr.IntOrString) field.ErrorList {
	if v.Type == intstr.Int {
		return Invalid(p, v.IntValue(), validation.IsValidPortNum(v.IntValue()))
	}
	return Invalid(p, v.StrVal, validation.IsValidPortName(v.StrVal))
}

// CountOrPercent wants a non-negative number or a percentage.
func CountOrPercent(p *field.Path, v intstr.IntOrString) field.ErrorList {
	if v.Type == intstr.Int {
		return NonNegative(p, v.IntValue())
	}
	return Invalid(p, v, validation.IsValidPercent(v.StrVal))
}

// Percent gives the number of a percentage and whether v is one.
func Percent(v intstr.IntOrString) (int, bool) {
	if v.Type != intstr.String || len(validation.IsValidPercent(v.StrVal)) > 0 {
		return 0, false
	}
	n := 0
	for _, c := range v.StrVal[:len(v.StrVal)-1] {
		if n = n*10 + int(c-'0'); n > 1<<20 {
			return n, true
		}
	}
	return n, true
}

// AtMostHundredPercent refuses percentages above 100.
func AtMostHundredPercent(p *field.Path, v intstr.IntOrString) field.ErrorList {
	if n, ok := Percent(v); ok && n > 100 {
		return One(field.Invalid(p, v, "must not be greater than 100%"))
	}
	return nil
}

// CountOf is v as a number: a percentage counts as itself.
func CountOf(v intstr.IntOrString) int {
	if n, ok := Percent(v); ok {
		return n
	}
	return v.IntValue()
}
