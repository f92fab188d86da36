package apiextensions

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Limits of what rules may cost at worst, in CEL's units: one rule, and all of a schema (KEP-2876).
const (
	ruleLimit   = 10_000_000
	schemaLimit = 100_000_000
)

// scope is what rules at a place of a schema see. A type is made for the outermost schema with rules; those below are parts
// of it.
type scope struct {
	parent *scope
	schema *apiextensions.JSONSchemaProps
	rules  bool // here or above
	part   func(*typeInfo) *typeInfo
	times  uint64 // how often the place can be in one object; 0 means without bound
	info   *typeInfo
}

type typeInfo struct {
	schema *structural.Structural
	decl   *apiservercel.DeclType
}

func rootScope(s *apiextensions.JSONSchemaProps) *scope {
	return &scope{schema: s, rules: len(s.XValidations) > 0, times: 1}
}

func (c *scope) below(s *apiextensions.JSONSchemaProps, part func(*typeInfo) *typeInfo) *scope {
	if c == nil || s == nil {
		return nil
	}
	return &scope{parent: c, schema: s, rules: c.rules || len(s.XValidations) > 0, part: part, times: multiply(c.times, elements(c.schema))}
}

func (c *scope) property(s *apiextensions.JSONSchemaProps, name string) *scope {
	return c.below(s, func(of *typeInfo) *typeInfo {
		p, ok := of.schema.Properties[name]
		escaped, can := apiservercel.Escape(name)
		if !ok || !can || of.decl.Fields[escaped] == nil {
			return nil
		}
		return &typeInfo{&p, of.decl.Fields[escaped].Type}
	})
}

func (c *scope) items(s *apiextensions.JSONSchemaProps) *scope {
	return c.below(s, func(of *typeInfo) *typeInfo {
		if of.schema.Items == nil {
			return nil
		}
		return &typeInfo{of.schema.Items, of.decl.ElemType}
	})
}

func (c *scope) values(s *apiextensions.JSONSchemaProps) *scope {
	return c.below(s, func(of *typeInfo) *typeInfo {
		if of.schema.AdditionalProperties == nil {
			return nil
		}
		return &typeInfo{of.schema.AdditionalProperties.Structural, of.decl.ElemType}
	})
}

// elements is how many of its parts an object of a schema can have at most, each of an object's fields being one; 0 means no bound.
func elements(s *apiextensions.JSONSchemaProps) uint64 {
	bound := func(n *int64) uint64 {
		if n == nil {
			return 0
		}
		return uint64(max(1, *n))
	}
	switch {
	case s.Type == "array":
		return bound(s.MaxItems)
	case s.Type == "object" && s.AdditionalProperties != nil:
		return bound(s.MaxProperties)
	}
	return 1
}

// multiply stays at the largest number when the product is larger.
func multiply(a, b uint64) uint64 {
	if hi, lo := bits.Mul64(a, b); hi == 0 {
		return lo
	}
	return math.MaxUint64
}

// types are made when the first rule needs them; nil where none can be known.
func (c *scope) types() (*typeInfo, error) {
	if c == nil || !c.rules || c.info != nil {
		if c == nil {
			return nil, nil
		}
		return c.info, nil
	}
	if c.parent != nil {
		of, err := c.parent.types()
		if err != nil {
			return nil, err
		}
		if of != nil {
			c.info = c.part(of)
		}
	}
	if c.info != nil {
		return c.info, nil
	}
	s, err := structural.NewStructural(c.schema)
	if err != nil {
		return nil, err
	}
	decl := model.SchemaDeclType(s, c.parent == nil || c.schema.XEmbeddedResource)
	if decl == nil {
		return nil, fmt.Errorf("unable to convert structural schema to CEL declarations")
	}
	c.info = &typeInfo{s, decl}
	return c.info, nil
}

// compile checks the rules of a schema: they are understood, of the right type, and not too expensive.
func (w *walk) compile(at place, s *apiextensions.JSONSchemaProps) field.ErrorList {
	p := at.path.Child("x-kubernetes-validations")
	info, err := at.scope.types()
	if err != nil || info == nil {
		return field.ErrorList{field.InternalError(p, fmt.Errorf("internal error: failed to construct type information for x-kubernetes-validations rules: %v", err))}
	}
	results, err := cel.Compile(info.schema, info.decl, celconfig.PerCallLimit, environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), known(w.stored))
	if err != nil {
		return field.ErrorList{field.InternalError(p, err)}
	}
	var errs field.ErrorList
	for i, r := range results {
		errs = append(errs, w.rule(at, p.Index(i), s.XValidations[i], r)...)
	}
	return errs
}

func (w *walk) rule(at place, p *field.Path, v apiextensions.ValidationRule, r cel.CompilationResult) field.ErrorList {
	var errs field.ErrorList
	times := at.scope.times
	if times == 0 {
		times = r.MaxCardinality
	}
	cost := multiply(r.MaxCost, times)
	if cost > ruleLimit {
		errs = append(errs, field.Forbidden(p.Child("rule"), tooDear("estimated rule cost", cost, ruleLimit)))
	}
	w.costs.add(p.Child("rule"), cost)
	switch {
	case r.Error == nil:
	case r.Error.Type == apiservercel.ErrorTypeRequired:
		errs = append(errs, field.Required(p.Child("rule"), r.Error.Detail))
	default:
		errs = append(errs, field.Invalid(p.Child("rule"), v, r.Error.Detail))
	}
	switch {
	case r.MessageExpressionError != nil:
		errs = append(errs, field.Invalid(p.Child("messageExpression"), v, r.MessageExpressionError.Detail))
	case r.MessageExpression != nil:
		if r.MessageExpressionMaxCost > ruleLimit {
			errs = append(errs, field.Forbidden(p.Child("messageExpression"), tooDear("estimated messageExpression cost", r.MessageExpressionMaxCost, ruleLimit)))
		}
		w.costs.add(p.Child("messageExpression"), r.MessageExpressionMaxCost)
	}
	switch {
	case r.UsesOldSelf && at.lost != nil:
		errs = append(errs, field.Invalid(p.Child("rule"), v.Rule, fmt.Sprintf("oldSelf cannot be used on the uncorrelatable portion of the schema within %v", at.lost)))
	case !r.UsesOldSelf && v.OptionalOldSelf != nil:
		errs = append(errs, field.Invalid(p.Child("optionalOldSelf"), *v.OptionalOldSelf, "may not be set if oldSelf is not used in rule"))
	}
	return errs
}

// known are expressions that were let in before: they may use what new ones cannot yet.
type known map[string]bool

// RuleEnv implements cel.EnvLoader.
func (k known) RuleEnv(set *environment.EnvSet, expression string) *celgo.Env {
	if k[expression] {
		return set.StoredExpressionsEnv()
	}
	return set.NewExpressionsEnv()
}

// MessageExpressionEnv implements cel.EnvLoader.
func (k known) MessageExpressionEnv(set *environment.EnvSet, expression string) *celgo.Env {
	return k.RuleEnv(set, expression)
}

// expressions collects the expressions of a version.
func expressions(v *apiextensionsv1.CustomResourceDefinitionVersion, into map[string]bool) {
	if v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
		each(v.Schema.OpenAPIV3Schema, func(s *apiextensionsv1.JSONSchemaProps) {
			for _, r := range s.XValidations {
				into[r.Rule], into[r.MessageExpression] = true, true
			}
		})
	}
}

// each calls f for a schema and all below it.
func each(s *apiextensionsv1.JSONSchemaProps, f func(*apiextensionsv1.JSONSchemaProps)) {
	if s == nil {
		return
	}
	f(s)
	for _, p := range s.Properties {
		each(&p, f)
	}
	if s.Items != nil {
		each(s.Items.Schema, f)
	}
	if s.AdditionalProperties != nil {
		each(s.AdditionalProperties.Schema, f)
	}
	each(s.Not, f)
	for _, list := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range list {
			each(&list[i], f)
		}
	}
}

// costs sums up what a schema's rules cost at worst.
type costs struct {
	total uint64
	dear  []costOf // the dearest first, four at most
}

type costOf struct {
	path *field.Path
	cost uint64
}

func (c *costs) add(p *field.Path, cost uint64) {
	if c.total += cost; c.total < cost {
		c.total = math.MaxUint64
	}
	if cost < schemaLimit/100 {
		return
	}
	c.dear = append(c.dear, costOf{p, cost})
	slices.SortStableFunc(c.dear, func(a, b costOf) int {
		switch {
		case a.cost > b.cost:
			return -1
		case a.cost < b.cost:
			return 1
		}
		return 0
	})
	c.dear = c.dear[:min(4, len(c.dear))]
}

func (c *costs) check(p *field.Path) field.ErrorList {
	if c.total <= schemaLimit {
		return nil
	}
	var errs field.ErrorList
	for _, d := range c.dear {
		errs = append(errs, field.Forbidden(d.path, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"))
	}
	return append(errs, field.Forbidden(p, tooDear("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", c.total, schemaLimit)))
}

func tooDear(what string, cost, limit uint64) string {
	factor := "more than 100x"
	if f := float64(cost) / float64(limit); f < 1.5 {
		factor = fmt.Sprintf("%fx", f)
	} else if f <= 100 {
		factor = fmt.Sprintf("%.1fx", f)
	}
	return fmt.Sprintf("%s exceeds budget by factor of %s (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)", what, factor)
}
