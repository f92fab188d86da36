package expression

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/traits"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// variablesType is the name of the type of the variable "variables".
const variablesType = "kubernetes.variables"

// Compiler compiles the expressions of one policy, where later ones may use the variables before them. Use New or
// NewComposed; it is not safe for concurrent use.
type Compiler struct {
	variables *apiservercel.DeclType // nil without composition
	envs      map[envKey]*cel.Env
}

// NewCompiler compiles expressions that stand alone.
func NewCompiler() *Compiler { return &Compiler{} }

// NewComposed compiles expressions that may use variables.
func NewComposed() *Compiler {
	return &Compiler{variables: apiservercel.NewObjectType(variablesType, map[string]*apiservercel.DeclField{}), envs: map[envKey]*cel.Env{}}
}

// VariablesType is the type of "variables", as it is known so far; nil without composition.
func (c *Compiler) VariablesType() *apiservercel.DeclType { return c.variables }

// Compile compiles source, which must evaluate to one of the types.
func (c *Compiler) Compile(source string, v Vars, m Mode, returns []*cel.Type) Compiled {
	e, err := c.env(v, m)
	if err != nil {
		return wrong(source, apiservercel.ErrorTypeInternal, "unexpected error loading CEL environment: "+err.Error(), nil)
	}
	return compile(e, source, returns)
}

// Variable compiles a variable and lets later expressions use it. One that does not compile is of any type.
func (c *Compiler) Variable(name, source string, v Vars, m Mode) Compiled {
	out := c.Compile(source, v, m, Anything())
	c.declare(name, out.Type)
	return out
}

func (c *Compiler) declare(name string, t *cel.Type) {
	c.variables.Fields[name] = apiservercel.NewDeclField(name, declared(t), true, nil, nil)
}

func (c *Compiler) env(v Vars, m Mode) (*cel.Env, error) {
	e, err := env(v, m)
	if err != nil || c.variables == nil {
		return e, err
	}
	key := envKey{v, m}
	if have := c.envs[key]; have != nil {
		return have, nil
	}
	e, err = extend(e, []cel.EnvOption{cel.Variable(Variables, c.variables.CelType())}, c.variables)
	if err == nil {
		c.envs[key] = e
	}
	return e, err
}

// declared is the type of a field that holds values of t.
func declared(t *cel.Type) *apiservercel.DeclType {
	if t == nil {
		return apiservercel.DynType
	}
	switch t {
	case cel.AnyType:
		return apiservercel.AnyType
	case cel.BoolType:
		return apiservercel.BoolType
	case cel.BytesType:
		return apiservercel.BytesType
	case cel.DoubleType:
		return apiservercel.DoubleType
	case cel.DurationType:
		return apiservercel.DurationType
	case cel.IntType:
		return apiservercel.IntType
	case cel.NullType:
		return apiservercel.NullType
	case cel.StringType:
		return apiservercel.StringType
	case cel.TimestampType:
		return apiservercel.TimestampType
	case cel.UintType:
		return apiservercel.UintType
	}
	if t.HasTrait(traits.ContainerType) && t.HasTrait(traits.IndexerType) {
		switch p := t.Parameters(); len(p) {
		case 1:
			return apiservercel.NewListType(declared(p[0]), -1)
		case 2:
			return apiservercel.NewMapType(declared(p[0]), declared(p[1]), -1)
		}
	}
	return apiservercel.DynType
}
