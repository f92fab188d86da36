package expression

import (
	"sync"

	"github.com/google/cel-go/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// envs are the environments without composed variables. Each is made when first needed: it costs milliseconds
// and some hundred kilobytes, and a cluster without policies has none.
var envs = sync.OnceValue(func() map[envKey]func() (*cel.Env, error) {
	out := map[envKey]func() (*cel.Env, error){}
	for _, mode := range []Mode{New, Stored} {
		for i := range 8 {
			v := Vars{Params: i&1 != 0, Authorizer: i&2 != 0, Patch: i&4 != 0}
			out[envKey{v, mode}] = sync.OnceValues(func() (*cel.Env, error) { return newEnv(v, mode) })
		}
	}
	return out
})

type envKey struct {
	vars Vars
	mode Mode
}

func env(v Vars, m Mode) (*cel.Env, error) { return envs()[envKey{v, m}]() }

func base(m Mode) (*cel.Env, error) {
	set := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	if m == Stored {
		return set.StoredExpressionsEnv(), nil
	}
	return set.NewExpressionsEnv(), nil
}

func newEnv(v Vars, m Mode) (*cel.Env, error) {
	b, err := base(m)
	if err != nil {
		return nil, err
	}
	request, namespace := requestType(), namespaceType()
	opts := []cel.EnvOption{
		cel.Variable(Object, cel.DynType), cel.Variable(OldObject, cel.DynType),
		cel.Variable(Namespace, namespace.CelType()), cel.Variable(Request, request.CelType()),
	}
	if v.Params {
		opts = append(opts, cel.Variable(Params, cel.DynType))
	}
	if v.Authorizer {
		opts = append(opts, cel.Variable(Authorizer, library.AuthorizerType), cel.Variable(RequestResource, library.ResourceCheckType))
	}
	e, err := extend(b, opts, namespace, request)
	if err != nil || !v.Patch {
		return e, err
	}
	return e.Extend(common.ResolverEnvOption(&mutation.DynamicTypeResolver{}), library.JSONPatch())
}

// extend adds types and what uses them.
func extend(e *cel.Env, opts []cel.EnvOption, declared ...*apiservercel.DeclType) (*cel.Env, error) {
	provider := apiservercel.NewDeclTypeProvider(declared...)
	provider.SetRecognizeKeywordAsFieldName(true)
	more, err := provider.EnvOptions(e.CELTypeProvider())
	if err != nil {
		return nil, err
	}
	return e.Extend(append(opts, more...)...)
}
