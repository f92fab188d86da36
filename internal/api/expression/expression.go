// Package expression compiles the CEL expressions that configure admission:
// validations, mutations, match conditions, messages.
//
// It knows which variables, types, libraries and cost limits they get
// (KEP-3488, KEP-3962, KEP-3716), so that what is accepted when a policy is written is what runs
// later. It must not know how a write becomes values: that is apiserver's. Read this file first, then env.go.
package expression

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Names of the variables.
const (
	Object          = "object"
	OldObject       = "oldObject"
	Params          = "params"
	Request         = "request"
	Namespace       = "namespaceObject"
	Authorizer      = "authorizer"
	RequestResource = "authorizer.requestResource"
	Variables       = "variables"
)

// Vars says what an expression may use beyond object, oldObject, request and namespaceObject.
type Vars struct {
	Params     bool // params, which may be null all the same
	Authorizer bool // authorizer and authorizer.requestResource
	Patch      bool // Object{…}, JSONPatch{…} and jsonpatch.escapeKey
}

// Mode says how old an expression is.
type Mode uint8

// An expression on its way into the store may use only what the release before understands, so that a cluster
// can go back; a stored one may use everything there is.
const (
	New Mode = iota
	Stored
)

// Compiled is an expression that can run, or Err says why it cannot.
type Compiled struct {
	Source  string
	Program cel.Program
	Type    *cel.Type
	Err     *apiservercel.Error
}

// Boolean, Text and Annotation are what expressions may answer: a decision, a message, the value of an audit annotation.
func Boolean() []*cel.Type { return []*cel.Type{cel.BoolType} }

// Text is a message.
func Text() []*cel.Type { return []*cel.Type{cel.StringType} }

// Annotation is the value of an audit annotation, or null for none.
func Annotation() []*cel.Type { return []*cel.Type{cel.StringType, cel.NullType} }

// Configuration is an apply configuration.
func Configuration() []*cel.Type { return []*cel.Type{types.NewObjectType("Object")} }

// Patches is a list of JSON patch operations.
func Patches() []*cel.Type { return []*cel.Type{cel.ListType(types.NewObjectType("JSONPatch"))} }

// Anything is any type.
func Anything() []*cel.Type { return []*cel.Type{cel.AnyType, cel.DynType} }

func compile(env *cel.Env, source string, returns []*cel.Type) Compiled {
	ast, c := check(env, source, returns)
	if c.Err != nil {
		return c
	}
	program, err := env.Program(ast, cel.InterruptCheckFrequency(celconfig.CheckFrequency))
	if err != nil {
		return wrong(source, apiservercel.ErrorTypeInternal, "program instantiation failed: "+err.Error(), nil)
	}
	c.Program = program
	return c
}

// check is compile without making a program.
func check(env *cel.Env, source string, returns []*cel.Type) (*cel.Ast, Compiled) {
	ast, issues := env.Compile(source)
	if issues != nil {
		return nil, wrong(source, apiservercel.ErrorTypeInvalid, "compilation failed: "+issues.String(), apiservercel.NewCompilationError(issues))
	}
	got := ast.OutputType()
	if !slices.ContainsFunc(returns, func(t *cel.Type) bool { return got.IsExactType(t) || cel.AnyType.IsExactType(t) }) {
		why := fmt.Sprintf("must evaluate to one of %v but got %v", returns, got)
		if len(returns) == 1 {
			why = fmt.Sprintf("must evaluate to %v but got %v", returns[0], got)
		}
		return nil, wrong(source, apiservercel.ErrorTypeInvalid, why, nil)
	}
	return ast, Compiled{Source: source, Type: got}
}

func wrong(source string, t apiservercel.ErrorType, detail string, cause error) Compiled {
	return Compiled{Source: source, Err: &apiservercel.Error{Type: t, Detail: detail, Cause: cause}}
}
