package expression

import (
	"errors"

	"github.com/google/cel-go/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

// Typed checks expressions against the types that their variables have for one kind of objects. What is accepted when a
// policy is written knows no types, as a policy may be about many kinds.
type Typed struct {
	compiler Compiler
	env      *cel.Env
}

// NewTyped checks for objects and parameters of the types; nil where one is unknown. params says whether there are any.
func NewTyped(object, params *apiservercel.DeclType, hasParams bool) (*Typed, error) {
	t := &Typed{compiler: *NewComposed()}
	b, err := base(Stored)
	if err != nil {
		return nil, err
	}
	request, namespace := requestType(), namespaceType()
	types := []*apiservercel.DeclType{namespace, request, t.compiler.variables}
	opts := []cel.EnvOption{
		cel.Variable(Namespace, namespace.CelType()), cel.Variable(Request, request.CelType()),
		cel.Variable(Authorizer, library.AuthorizerType), cel.Variable(Variables, t.compiler.variables.CelType()),
	}
	add := func(d *apiservercel.DeclType, names ...string) {
		as := cel.DynType
		if d != nil {
			as, types = d.CelType(), append(types, d)
		}
		for _, n := range names {
			opts = append(opts, cel.Variable(n, as))
		}
	}
	add(object, Object, OldObject)
	if hasParams {
		add(params, Params)
	}
	t.env, err = extend(b, opts, types...)
	return t, err
}

// Variable lets later expressions use a variable. One that is wrong is of any type: it is not what is checked.
func (t *Typed) Variable(name, source string) {
	ast, issues := t.env.Compile(source)
	if issues != nil {
		t.compiler.declare(name, nil)
		return
	}
	t.compiler.declare(name, ast.OutputType())
}

// Check says what is wrong with an expression; any type may come out of it.
func (t *Typed) Check(source string) error {
	if _, issues := t.env.Compile(source); issues != nil {
		return errors.New(issues.String())
	}
	return nil
}
