package apiextensions

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// walk goes through one version's schema. Errors of its rules are kept apart: those of a broken schema would only confuse.
type walk struct {
	stored map[string]bool // expressions of the definition as it is stored
	costs  costs
	rules  field.ErrorList
}

// place is where in a schema one is.
type place struct {
	path       *field.Path
	root       bool
	meta       bool        // inside kind, apiVersion or metadata of an object
	noDefaults string      // why there can be no defaults; empty when there can
	lost       *field.Path // the first place above whose parts cannot be told from one revision to the next
	scope      *scope      // types for rules; nil where there can be none
}

// schema checks a whole schema (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/).
func schema(p *field.Path, s *apiextensions.JSONSchemaProps, status bool, stored map[string]bool) field.ErrorList {
	var errs field.ErrorList
	if status {
		errs = append(errs, statusRoot(p, s)...)
	}
	if s.Nullable {
		errs = append(errs, field.Forbidden(p.Child("nullable"), "nullable cannot be true at the root"))
	}
	ss, serr := structural.NewStructural(s)
	at := place{path: p, root: true}
	if serr == nil {
		shape := structural.ValidateStructural(p, ss)
		if len(shape) == 0 {
			var err error
			if shape, err = defaulting.ValidateDefaults(context.Background(), p, ss, true, true); err != nil {
				shape = append(shape, field.Invalid(p, "", err.Error()))
			}
		}
		if errs = append(errs, shape...); len(shape) == 0 {
			at.scope = rootScope(s)
		}
	}
	w := &walk{stored: stored}
	errs = append(errs, w.visit(at, s)...)
	errs = append(errs, w.rules...)
	if len(errs) == 0 && serr != nil {
		errs = append(errs, field.Invalid(p, "", serr.Error()))
	}
	errs = append(errs, w.costs.check(p)...)
	if len(errs) > 0 {
		return errs
	}
	if _, _, err := apivalidation.NewSchemaValidator(s); err != nil {
		return check.One(field.Invalid(p, "", fmt.Sprintf("error building validator: %v", err)))
	}
	return nil
}

// rootFields are what a root may say when the status is checked on its own.
var rootFields = []string{"Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength",
	"Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"}

func statusRoot(p *field.Path, s *apiextensions.JSONSchemaProps) field.ErrorList {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch {
		case v.Field(i).IsZero():
		case name == "Type" && s.Type != "object":
			return check.One(field.Invalid(p.Child("type"), s.Type, `only "object" is allowed as the type at the root of the schema if the status subresource is enabled`))
		case !slices.Contains(rootFields, name):
			return check.One(field.Invalid(p, name, fmt.Sprintf("only %v fields are allowed at the root of the schema if the status subresource is enabled", rootFields)))
		}
	}
	return nil
}

// visit checks a schema and all below it.
func (w *walk) visit(at place, s *apiextensions.JSONSchemaProps) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := supported(at, s)
	errs = append(errs, w.children(at, s)...)
	errs = append(errs, extensions(at.path, s)...)
	errs = append(errs, listMap(at.path, s)...)
	if len(s.XValidations) > 0 {
		errs = append(errs, ruleTexts(at.path, s)...)
		if len(errs) == 0 && at.scope != nil {
			w.rules = append(w.rules, w.compile(at, s)...)
		}
	}
	return errs
}

// children visits what is below.
func (w *walk) children(at place, s *apiextensions.JSONSchemaProps) field.ErrorList {
	var errs field.ErrorList
	if a := s.AdditionalProperties; a != nil {
		if len(s.Properties) > 0 && (!a.Allows || a.Schema != nil) {
			errs = append(errs, field.Forbidden(at.path.Child("additionalProperties"), "additionalProperties and properties are mutual exclusive"))
		}
		below := at.below(at.path.Child("additionalProperties"), at.scope.values(a.Schema))
		if at.meta {
			below.noDefaults = "inside additionalProperties applying to object metadata"
		}
		errs = append(errs, w.visit(below, a.Schema)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		prop := s.Properties[name]
		below := at.below(at.path.Child("properties").Key(name), at.scope.property(&prop, name))
		if !cel.MapIsCorrelatable(s.XMapType) && below.lost == nil {
			below.lost = at.path
		}
		if (at.root || s.XEmbeddedResource) && (name == "metadata" || name == "kind" || name == "apiVersion") {
			below.meta = true
			if at.root {
				below.noDefaults = "in top-level " + name
			}
		}
		errs = append(errs, w.visit(below, &prop)...)
	}
	if i := s.Items; i != nil {
		below := at.below(at.path.Child("items"), at.scope.items(i.Schema))
		if (s.XListType == nil || *s.XListType != "map") && below.lost == nil {
			below.lost = at.path
		}
		errs = append(errs, w.visit(below, i.Schema)...)
		for j := range i.JSONSchemas {
			errs = append(errs, w.visit(at.below(at.path.Child("items").Index(j), nil), &i.JSONSchemas[j])...)
		}
	}
	errs = append(errs, w.visit(at.below(at.path.Child("not"), nil), s.Not)...)
	for _, j := range []struct {
		name string
		list []apiextensions.JSONSchemaProps
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		for i := range j.list {
			errs = append(errs, w.visit(at.below(at.path.Child(j.name).Index(i), nil), &j.list[i])...)
		}
	}
	return errs
}

func (at place) below(p *field.Path, s *scope) place {
	at.path, at.scope, at.root = p, s, false
	return at
}

// supported refuses what of JSON schema custom resources do not have.
func supported(at place, s *apiextensions.JSONSchemaProps) field.ErrorList {
	p := at.path
	var errs field.ErrorList
	types := []string{"array", "boolean", "integer", "number", "object", "string"}
	if s.Type != "" && !slices.Contains(types, s.Type) {
		errs = append(errs, field.NotSupported(p.Child("type"), s.Type, types))
	}
	if s.Default != nil && at.noDefaults != "" {
		errs = append(errs, field.Forbidden(p.Child("default"), "must not be set "+at.noDefaults))
	}
	for _, f := range []struct {
		there        bool
		name, detail string
	}{
		{s.ID != "", "id", "id is not supported"},
		{s.AdditionalItems != nil, "additionalItems", "additionalItems is not supported"},
		{len(s.PatternProperties) != 0, "patternProperties", "patternProperties is not supported"},
		{len(s.Definitions) != 0, "definitions", "definitions is not supported"},
		{s.Dependencies != nil, "dependencies", "dependencies is not supported"},
		{s.Ref != nil, "$ref", "$ref is not supported"},
		{s.Type == "null", "type", "type cannot be set to null, use nullable as an alternative"},
		{s.Items != nil && len(s.Items.JSONSchemas) != 0, "items", "items must be a schema object and not an array"},
		{at.meta && s.XEmbeddedResource, "x-kubernetes-embedded-resource", "must not be used inside of resource meta"},
		{s.UniqueItems, "uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"},
	} {
		if f.there {
			errs = append(errs, field.Forbidden(p.Child(f.name), f.detail))
		}
	}
	return errs
}

// extensions checks the x-kubernetes- words about maps and lists.
func extensions(p *field.Path, s *apiextensions.JSONSchemaProps) field.ErrorList {
	var errs field.ErrorList
	if x := s.XPreserveUnknownFields; x != nil && !*x {
		errs = append(errs, field.Invalid(p.Child("x-kubernetes-preserve-unknown-fields"), *x, "must be true or undefined"))
	}
	kind := func(word, typ string, value *string, values ...string) {
		if value == nil {
			return
		}
		detail := fmt.Sprintf("must be %s if %s is specified", typ, word)
		if s.Type == "" {
			errs = append(errs, field.Required(p.Child("type"), detail))
		} else if s.Type != typ {
			errs = append(errs, field.Invalid(p.Child("type"), s.Type, detail))
		}
		if !slices.Contains(values, *value) {
			errs = append(errs, field.NotSupported(p.Child(word), *value, values))
		}
	}
	kind("x-kubernetes-map-type", "object", s.XMapType, "atomic", "granular")
	kind("x-kubernetes-list-type", "array", s.XListType, "atomic", "set", "map")
	if s.XListType == nil || *s.XListType == "atomic" || s.Items == nil || s.Items.Schema == nil {
		return errs
	}
	item, ip := s.Items.Schema, p.Child("items")
	if item.Nullable {
		errs = append(errs, field.Forbidden(ip.Child("nullable"), "cannot be nullable when x-kubernetes-list-type is "+*s.XListType))
	}
	const atomic = "must be atomic as item of a list with x-kubernetes-list-type=set"
	switch {
	case *s.XListType != "set":
	case item.Type == "array" && item.XListType != nil && *item.XListType != "atomic":
		errs = append(errs, field.Invalid(ip.Child("x-kubernetes-list-type"), *item.XListType, atomic))
	case item.Type == "object" && (item.XMapType == nil || *item.XMapType != "atomic"):
		errs = append(errs, field.Invalid(ip.Child("x-kubernetes-map-type"), item.XMapType, atomic))
	}
	return errs
}

// listMap checks lists whose items have keys.
func listMap(p *field.Path, s *apiextensions.JSONSchemaProps) field.ErrorList {
	var errs field.ErrorList
	isMap := s.XListType != nil && *s.XListType == "map"
	keys := p.Child("x-kubernetes-list-map-keys")
	if len(s.XListMapKeys) > 0 && !isMap {
		const detail = "must be map if x-kubernetes-list-map-keys is non-empty"
		if s.XListType == nil {
			return check.One(field.Required(p.Child("x-kubernetes-list-type"), detail))
		}
		return check.One(field.Invalid(p.Child("x-kubernetes-list-type"), *s.XListType, detail))
	}
	if !isMap {
		return nil
	}
	if len(s.XListMapKeys) == 0 {
		errs = append(errs, field.Required(keys, "must not be empty if x-kubernetes-list-type is map"))
	}
	ip := p.Child("items")
	switch {
	case s.Items == nil:
		return append(errs, field.Required(ip, "must have a schema if x-kubernetes-list-type is map"))
	case s.Items.Schema == nil:
		return append(errs, field.Invalid(ip, "", "must only have a single schema if x-kubernetes-list-type is map"))
	case s.Items.Schema.Type != "object":
		return append(errs, field.Invalid(ip.Child("type"), s.Items.Schema.Type, "must be object if parent array's x-kubernetes-list-type is map"))
	}
	item := s.Items.Schema
	for i, k := range s.XListMapKeys {
		if slices.Contains(s.XListMapKeys[:i], k) {
			errs = append(errs, field.Invalid(keys, s.XListMapKeys, "must not contain duplicate entries"))
		}
		prop, ok := item.Properties[k]
		kp := ip.Child("properties").Key(k)
		if !ok {
			errs = append(errs, field.Invalid(keys, s.XListMapKeys, "entries must all be names of item properties"))
			continue
		}
		if prop.Type == "array" || prop.Type == "object" {
			errs = append(errs, field.Invalid(kp.Child("type"), prop.Type, "must be a scalar type if parent array's x-kubernetes-list-type is map"))
		}
		if prop.Default == nil && !slices.Contains(item.Required, k) {
			errs = append(errs, field.Required(kp.Child("default"), "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"))
		}
		if prop.Nullable {
			errs = append(errs, field.Forbidden(kp.Child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
		}
	}
	return errs
}

// ruleTexts checks what can be said of rules without understanding them.
func ruleTexts(p *field.Path, s *apiextensions.JSONSchemaProps) field.ErrorList {
	var errs field.ErrorList
	broken := func(v string) bool { return strings.ContainsAny(v, "\n\r") }
	blank := func(v string) bool { return v != "" && strings.TrimSpace(v) == "" }
	for i, r := range s.XValidations {
		rp := p.Child("x-kubernetes-validations").Index(i)
		switch rule, msg := strings.TrimSpace(r.Rule), strings.TrimSpace(r.Message); {
		case rule == "":
			errs = append(errs, field.Required(rp.Child("rule"), "rule is not specified"))
		case blank(r.Message):
			errs = append(errs, field.Invalid(rp.Child("message"), r.Message, "must be non-empty if specified"))
		case broken(msg):
			errs = append(errs, field.Invalid(rp.Child("message"), r.Message, "must not contain line breaks"))
		case broken(rule) && msg == "":
			errs = append(errs, field.Required(rp.Child("message"), "message must be specified if rule contains line breaks"))
		}
		if blank(r.MessageExpression) {
			errs = append(errs, field.Required(rp.Child("messageExpression"), "messageExpression must be non-empty if specified"))
		}
		reasons := []string{string(apiextensions.FieldValueDuplicate), string(apiextensions.FieldValueForbidden), string(apiextensions.FieldValueInvalid), string(apiextensions.FieldValueRequired)}
		if r.Reason != nil && !slices.Contains(reasons, string(*r.Reason)) {
			errs = append(errs, field.NotSupported(rp.Child("reason"), string(*r.Reason), reasons))
		}
		if r.FieldPath == "" {
			continue
		}
		fp := rp.Child("fieldPath")
		if blank(r.FieldPath) {
			errs = append(errs, field.Invalid(fp, r.FieldPath, "must be non-empty if specified"))
		}
		if broken(r.FieldPath) {
			errs = append(errs, field.Invalid(fp, r.FieldPath, "must not contain line breaks"))
		}
		if ss, err := structural.NewStructural(s); err == nil {
			if _, _, err := cel.ValidFieldPath(r.FieldPath, ss); err != nil {
				errs = append(errs, field.Invalid(fp, r.FieldPath, "must be a valid path"))
			}
		}
	}
	return errs
}
