package admissionregistration

import (
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/cel"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/expression"
)

// expressions checks that the expressions of one object compile.
type expressions struct {
	compiler *expression.Compiler
	vars     expression.Vars
	// known are expressions that the object had before: they may use what only stored ones may.
	known map[string]bool
}

func newExpressions(variables, params bool, known map[string]bool) *expressions {
	e := &expressions{expression.NewCompiler(), expression.Vars{Params: params, Authorizer: true}, known}
	if variables {
		e.compiler = expression.NewComposed()
	}
	return e
}

func (e *expressions) mode(source string) expression.Mode {
	if e.known[source] {
		return expression.Stored
	}
	return expression.New
}

// check compiles source; an empty one was complained about elsewhere.
func (e *expressions) check(p *field.Path, source string, v expression.Vars, returns []*cel.Type) field.ErrorList {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	return complaint(p, e.compiler.Compile(source, v, e.mode(source), returns))
}

func complaint(p *field.Path, c expression.Compiled) field.ErrorList {
	switch {
	case c.Err == nil:
		return nil
	case c.Err.Type == apiservercel.ErrorTypeRequired:
		return check.One(field.Required(p, c.Err.Detail))
	case c.Err.Type == apiservercel.ErrorTypeInvalid:
		return check.One(field.Invalid(p, c.Source, c.Err.Detail))
	}
	return check.One(field.InternalError(p, c.Err))
}

// variables compiles them in order: each may use those before it.
func (e *expressions) variables(p *field.Path, list []admissionregistrationv1.Variable) field.ErrorList {
	var errs field.ErrorList
	for i, v := range list {
		ip := p.Index(i)
		switch {
		case strings.TrimSpace(v.Name) == "":
			errs = append(errs, field.Required(ip.Child("name"), "name is not specified"))
		case !isIdentifier(v.Name):
			errs = append(errs, field.Invalid(ip.Child("name"), v.Name, "must be a valid CEL identifier"))
		}
		if strings.TrimSpace(v.Expression) == "" {
			errs = append(errs, field.Required(ip.Child("expression"), "expression is not specified"))
			continue
		}
		errs = append(errs, complaint(ip.Child("expression"), e.compiler.Variable(v.Name, v.Expression, e.vars, e.mode(v.Expression)))...)
	}
	return errs
}

// conditionNames checks all of match conditions but their expressions.
func conditionNames(p *field.Path, list []admissionregistrationv1.MatchCondition) field.ErrorList {
	var errs field.ErrorList
	if n := len(list); n > 64 {
		errs = append(errs, field.TooMany(p, n, 64))
	}
	names := map[string]bool{}
	for i, c := range list {
		ip := p.Index(i)
		if strings.TrimSpace(c.Expression) == "" {
			errs = append(errs, field.Required(ip.Child("expression"), ""))
		}
		if c.Name == "" {
			errs = append(errs, field.Required(ip.Child("name"), ""))
			continue
		}
		errs = append(errs, check.QualifiedName(ip.Child("name"), c.Name)...)
		if names[c.Name] {
			errs = append(errs, field.Duplicate(ip.Child("name"), c.Name))
		}
		names[c.Name] = true
	}
	return errs
}

// conditions checks that match conditions compile, as far as they are not those of old; params says whether they may
// use parameters, as those of policies with a paramKind, and changed that this is new.
func conditions(p *field.Path, list, old []admissionregistrationv1.MatchCondition, params, changed bool) field.ErrorList {
	if slices.Equal(list, old) && !changed {
		return nil
	}
	known := map[string]bool{}
	for _, c := range old {
		known[strings.TrimSpace(c.Expression)] = true
	}
	e := newExpressions(false, params, known)
	var errs field.ErrorList
	for i, c := range list {
		errs = append(errs, e.check(p.Index(i).Child("expression"), strings.TrimSpace(c.Expression), e.vars, expression.Boolean())...)
	}
	return errs
}

// isIdentifier follows CEL's grammar: a name that is no reserved word.
func isIdentifier(name string) bool {
	switch name {
	case "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
		"loop", "package", "namespace", "return", "var", "void", "while":
		return false
	}
	ok, err := regexp.MatchString("^[_a-zA-Z][_a-zA-Z0-9]*$", name)
	return ok && err == nil
}

// oneLine checks a text that may be left out.
func oneLine(p *field.Path, text string) field.ErrorList {
	switch s := strings.TrimSpace(text); {
	case text != "" && s == "":
		return check.One(field.Invalid(p, text, "must be non-empty if specified"))
	case strings.ContainsAny(s, "\n\r"):
		return check.One(field.Invalid(p, text, "must not contain line breaks"))
	}
	return nil
}
