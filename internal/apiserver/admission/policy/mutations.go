package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/mutation"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"

	"github.com/dhow-project/dhow/internal/api/expression"
	"github.com/dhow-project/dhow/internal/apiserver/admission/evaluate"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// mutations are the compiled expressions of a mutating policy. They are safe for concurrent use.
type mutations struct {
	variables  *evaluate.Variables
	conditions evaluate.Conditions
	list       []change
	reinvoke   bool // if needed
}

type change struct {
	expression.Compiled
	json bool // a JSON patch; else an apply configuration
}

func compileMutations(s *admissionregistrationv1.MutatingAdmissionPolicySpec) *mutations {
	c, v := expression.NewComposed(), expression.Vars{Params: s.ParamKind != nil, Authorizer: true}
	out := &mutations{
		variables: compileVariables(c, s.Variables, v), conditions: evaluate.CompileConditions(c, s.MatchConditions, v.Params),
		reinvoke: s.ReinvocationPolicy == admissionregistrationv1.IfNeededReinvocationPolicy,
	}
	v.Patch = true
	for _, m := range s.Mutations {
		switch {
		case m.PatchType == admissionregistrationv1.PatchTypeJSONPatch && m.JSONPatch != nil:
			out.list = append(out.list, change{c.Compile(m.JSONPatch.Expression, v, expression.Stored, expression.Patches()), true})
		case m.PatchType == admissionregistrationv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
			out.list = append(out.list, change{c.Compile(m.ApplyConfiguration.Expression, v, expression.Stored, expression.Configuration()), false})
		}
	}
	return out
}

// patch gives the changed object with its kind.
func (c *change) patch(ctx context.Context, m *mutating, in *evaluate.Input, params runtime.Object, v *evaluate.Variables) (runtime.Object, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	run, err := evaluate.NewRun(ctx, in, params, true, v)
	if err != nil {
		return nil, err
	}
	budget := int64(celconfig.RuntimeCELCostBudget)
	res, err := run.Eval(c.Compiled, &budget)
	if err == nil {
		err = res.Err
	}
	if err != nil {
		return nil, err
	}
	if c.json {
		return patchJSON(in, res.Value)
	}
	return m.configure(in, res.Value)
}

// configure merges an apply configuration.
func (m *mutating) configure(in *evaluate.Input, v ref.Val) (runtime.Object, error) {
	o, ok := v.(*dynamic.ObjectVal)
	if !ok {
		return nil, fmt.Errorf("unsupported return type from ApplyConfiguration expression: %v", v.Type())
	}
	if err := o.CheckTypeNamesMatchFieldPathNames(); err != nil {
		return nil, fmt.Errorf("type mismatch: %w", err)
	}
	config, ok := o.Value().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("invalid return type: %T", v)
	}
	k, live := m.bodies.schema(in)
	if k == nil {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("Resource kind %s not found. There can be a delay between when "+
			"CustomResourceDefinitions are created and when they are available.", in.As.Kind))
	}
	out, err := m.merger.Merge(k, live, config)
	if err != nil {
		return nil, fmt.Errorf("error applying patch: %w", err)
	}
	return out, nil
}

// patchJSON applies operations. When a test among them fails nothing is changed.
func patchJSON(in *evaluate.Input, v ref.Val) (runtime.Object, error) {
	ops, err := operations(v)
	if err != nil {
		return nil, err
	}
	doc, err := codec.Object(codec.JSON, in.As.Kind, in.Object)
	if err != nil {
		return nil, fmt.Errorf("failed to create JSON patch: %w", err)
	}
	switch doc, err = ops.Apply(doc); {
	case errors.Is(err, jsonpatch.ErrTestFailed):
		return in.Object, nil
	case err != nil:
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	out := reflect.New(reflect.TypeOf(in.Object).Elem()).Interface().(runtime.Object)
	got, strict, err := codec.Decode(codec.JSON, doc, in.As.Kind, out)
	switch {
	case err == nil && len(strict) > 0:
		err = runtime.NewStrictDecodingError(strict)
	case err == nil && got != in.As.Kind:
		err = fmt.Errorf("the patch makes a %s of a %s", got, in.As.Kind)
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	out.GetObjectKind().SetGroupVersionKind(in.As.Kind)
	return out, nil
}

func operations(v ref.Val) (jsonpatch.Patch, error) {
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array")
	}
	out := jsonpatch.Patch{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		op, ok := it.Next().(*mutation.JSONPatchVal)
		if !ok {
			return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
		}
		one := jsonpatch.Operation{"op": quoted(op.Op), "path": quoted(op.Path)}
		if op.From != "" {
			one["from"] = quoted(op.From)
		}
		if op.Val != nil {
			raw, err := document(op.Val)
			if err != nil {
				return nil, err
			}
			one["value"] = raw
		}
		out = append(out, one)
	}
	return out, nil
}

func quoted(s string) *json.RawMessage {
	b, _ := json.Marshal(s) // of a string: never fails
	raw := json.RawMessage(b)
	return &raw
}

// document is a value of CEL in JSON.
func document(v ref.Val) (*json.RawMessage, error) {
	if o, ok := v.(*dynamic.ObjectVal); ok {
		if err := o.CheckTypeNamesMatchFieldPathNames(); err != nil {
			return nil, fmt.Errorf("type mismatch: %w", err)
		}
	}
	const cannot = "JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w"
	pb, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf(cannot, err)
	}
	b, err := json.Marshal(pb)
	if err != nil {
		return nil, fmt.Errorf(cannot, err)
	}
	raw := json.RawMessage(b)
	return &raw, nil
}

// put makes out what is written, and what the expressions after it see.
func (i *inputs) put(in *evaluate.Input, out runtime.Object) error {
	if out == in.Object {
		return nil
	}
	if err := i.target.Put(in.As, out); err != nil {
		return err
	}
	obj, _, err := i.target.Versioned(in.As)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("failed to convert object: %w", err))
	}
	clear(i.made) // other versions of it are stale
	i.made[in.As.Resource] = in
	in.SetObject(obj)
	return nil
}
