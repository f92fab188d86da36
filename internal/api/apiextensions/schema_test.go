package apiextensions

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// at makes a definition whose spec has the schema.
func at(t *testing.T, schema string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	s := &apiextensionsv1.JSONSchemaProps{}
	if err := yaml.UnmarshalStrict([]byte(schema), s); err != nil {
		t.Fatal(err)
	}
	o := &apiextensionsv1.CustomResourceDefinition{}
	o.Name, o.Spec.Group, o.Spec.Scope = "boats.example.com", "example.com", "Namespaced"
	o.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Kind: "Boat"}
	o.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": *s}}}}}
	crdDefault(o)
	return o
}

func TestSchema(t *testing.T) {
	for name, tc := range map[string]struct{ schema, want string }{
		"fine":             {`{type: object, properties: {a: {type: string, default: x}, b: {x-kubernetes-int-or-string: true}}}`, ""},
		"no type":          {`{properties: {a: {type: string}}}`, "[spec].type: Required value"},
		"unknown type":     {`{type: text}`, `[spec].type: Unsupported value: "text"`},
		"reference":        {`{type: object, $ref: "#/x"}`, "[spec].$ref: Forbidden: $ref is not supported"},
		"unique items":     {`{type: array, uniqueItems: true, items: {type: string}}`, "[spec].uniqueItems: Forbidden"},
		"both maps":        {`{type: object, properties: {a: {type: string}}, additionalProperties: {type: string}}`, "additionalProperties and properties are mutual exclusive"},
		"wrong default":    {`{type: object, properties: {a: {type: string, default: 3}}}`, "[a].default: Invalid value"},
		"set of objects":   {`{type: array, x-kubernetes-list-type: set, items: {type: object, properties: {a: {type: string}}}}`, "must be atomic as item of a list with x-kubernetes-list-type=set"},
		"map without keys": {`{type: array, x-kubernetes-list-type: map, items: {type: object, properties: {a: {type: string}}}}`, "x-kubernetes-list-map-keys: Required value"},
		"optional key":     {`{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a], items: {type: object, properties: {a: {type: string}}}}`, "must have a default or be a required property"},
		"rule":             {`{type: object, x-kubernetes-validations: [{rule: "self.a > 0"}], properties: {a: {type: integer}}}`, ""},
		"rule: syntax":     {`{type: object, x-kubernetes-validations: [{rule: "self.a >"}], properties: {a: {type: integer}}}`, "compilation failed"},
		"rule: unknown":    {`{type: object, x-kubernetes-validations: [{rule: "self.b > 0"}], properties: {a: {type: integer}}}`, "undefined field 'b'"},
		"rule: below":      {`{type: object, properties: {a: {type: object, x-kubernetes-validations: [{rule: "self.b > 0"}], properties: {b: {type: integer}}}}}`, ""},
		"rule: no bool":    {`{type: object, x-kubernetes-validations: [{rule: "self.a"}], properties: {a: {type: integer}}}`, "must evaluate to a bool"},
		"rule: dear": {`{type: object, properties: {a: {type: array, items: {type: array, items: {type: string,
			x-kubernetes-validations: [{rule: "self.contains('x')"}]}}}}}`, "exceeds budget"},
		"rule: lost":     {`{type: array, maxItems: 3, items: {type: integer, x-kubernetes-validations: [{rule: "self == oldSelf"}]}}`, "oldSelf cannot be used on the uncorrelatable portion"},
		"rule: optional": {`{type: integer, x-kubernetes-validations: [{rule: "self > 1", optionalOldSelf: true}]}`, "may not be set if oldSelf is not used"},
		"rule: path":     {`{type: object, x-kubernetes-validations: [{rule: "true", fieldPath: ".nowhere"}], properties: {a: {type: integer}}}`, "must be a valid path"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := append(crdValidate(at(t, tc.schema)), crdValidateCreate(at(t, tc.schema))...)
			switch err := errs.ToAggregate(); {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestSchemaThatWasLetIn: an update that leaves a schema alone does not meet rules that came later.
func TestSchemaThatWasLetIn(t *testing.T) {
	old, now := at(t, `{type: text}`), at(t, `{type: text}`)
	now.Labels = map[string]string{"a": "b"}
	if errs := crdValidateUpdate(now, old); len(errs) > 0 {
		t.Error(errs)
	}
	now.Spec.Versions[0].Schema.OpenAPIV3Schema.Description = "changed"
	if errs := crdValidateUpdate(now, old); len(errs) == 0 {
		t.Error("a changed schema is not checked")
	}
}
