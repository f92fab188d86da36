package apiextensions

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func crdDefault(o *apiextensionsv1.CustomResourceDefinition) {
	apiextensionsv1.SetDefaults_CustomResourceDefinition(o)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&o.Spec)
	if c := o.Spec.Conversion; c != nil && c.Webhook != nil && c.Webhook.ClientConfig != nil && c.Webhook.ClientConfig.Service != nil {
		apiextensionsv1.SetDefaults_ServiceReference(c.Webhook.ClientConfig.Service)
	}
}

// storeVersion remembers every version that objects were stored in.
func storeVersion(o *apiextensionsv1.CustomResourceDefinition) {
	for _, v := range o.Spec.Versions {
		if v.Storage && !slices.Contains(o.Status.StoredVersions, v.Name) {
			o.Status.StoredVersions = append(slices.Clone(o.Status.StoredVersions), v.Name)
		}
	}
}

// crdValidate checks names and versions. Schemas are checked only where they are new: crdValidateSchemas.
func crdValidate(o *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if want := s.Names.Plural + "." + s.Group; o.Name != want {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, "must be spec.names.plural+\".\"+spec.group"))
	}
	errs = append(errs, check.Present(p.Child("group"), s.Group)...)
	if s.Group != "" {
		errs = append(errs, check.DNSSubdomain(p.Child("group"), s.Group)...)
		if !strings.Contains(s.Group, ".") {
			errs = append(errs, field.Invalid(p.Child("group"), s.Group, "should be a domain with at least one dot"))
		}
	}
	errs = append(errs, check.OneOf(p.Child("scope"), s.Scope, apiextensionsv1.ClusterScoped, apiextensionsv1.NamespaceScoped)...)
	errs = append(errs, check.Present(p.Child("names", "singular"), s.Names.Singular)...)
	errs = append(errs, names(p.Child("names"), &s.Names)...)
	errs = append(errs, versions(p.Child("versions"), s.Versions)...)
	return append(errs, conversion(p.Child("conversion"), s)...)
}

func names(p *field.Path, n *apiextensionsv1.CustomResourceDefinitionNames) field.ErrorList {
	errs := check.Join(check.Present(p.Child("plural"), n.Plural), check.Present(p.Child("kind"), n.Kind), check.Present(p.Child("listKind"), n.ListKind))
	label := func(p *field.Path, v, hint string) {
		if msgs := validation.IsDNS1035Label(strings.ToLower(v)); v != "" && len(msgs) > 0 || hint == "" && strings.ToLower(v) != v {
			errs = append(errs, field.Invalid(p, v, hint+strings.Join(validation.IsDNS1035Label(v), ",")))
		}
	}
	const mixed = "may have mixed case, but should otherwise match: "
	label(p.Child("plural"), n.Plural, "")
	label(p.Child("singular"), n.Singular, "")
	label(p.Child("kind"), n.Kind, mixed)
	label(p.Child("listKind"), n.ListKind, mixed)
	for i, s := range n.ShortNames {
		label(p.Child("shortNames").Index(i), s, "")
	}
	for i, c := range n.Categories {
		label(p.Child("categories").Index(i), c, "")
	}
	if n.Kind != "" && n.Kind == n.ListKind {
		errs = append(errs, field.Invalid(p.Child("listKind"), n.ListKind, "kind and listKind may not be the same"))
	}
	return errs
}

func versions(p *field.Path, list []apiextensionsv1.CustomResourceDefinitionVersion) field.ErrorList {
	var errs field.ErrorList
	stored, unique := 0, true
	seen := map[string]bool{}
	for i := range list {
		v, ip := &list[i], p.Index(i)
		if msgs := validation.IsDNS1035Label(v.Name); len(msgs) > 0 {
			errs = append(errs, field.Invalid(ip.Child("name"), v.Name, strings.Join(msgs, ",")))
		}
		unique = unique && !seen[v.Name]
		seen[v.Name] = true
		if v.Storage {
			stored++
		}
		errs = append(errs, check.Invalid(ip.Child("deprecationWarning"), v.DeprecationWarning, deprecation(v))...)
		for j := range v.AdditionalPrinterColumns {
			errs = append(errs, column(ip.Child("additionalPrinterColumns").Index(j), &v.AdditionalPrinterColumns[j])...)
		}
		if s := v.Subresources; s != nil && s.Scale != nil {
			errs = append(errs, scale(ip.Child("subresources"), s.Scale)...)
		}
	}
	if !unique {
		errs = append(errs, field.Invalid(p, list, "must contain unique version names"))
	}
	if stored != 1 {
		errs = append(errs, field.Invalid(p, list, "must have exactly one version marked as storage version"))
	}
	return errs
}

func deprecation(v *apiextensionsv1.CustomResourceDefinitionVersion) (out []string) {
	w := v.DeprecationWarning
	switch {
	case w == nil:
		return nil
	case !v.Deprecated:
		return []string{"can only be set for deprecated versions"}
	case len(*w) > 256:
		out = append(out, "must be <= 256 characters long")
	case *w == "":
		out = append(out, "must not be an empty string")
	}
	if i := strings.IndexFunc(*w, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		out = append(out, fmt.Sprintf("must only contain printable UTF-8 characters; non-printable character found at index %d", i))
	} else if !utf8.ValidString(*w) {
		out = append(out, "must only contain printable UTF-8 characters")
	}
	return out
}

func column(p *field.Path, c *apiextensionsv1.CustomResourceColumnDefinition) field.ErrorList {
	errs := check.Present(p.Child("name"), c.Name)
	types := []string{"boolean", "date", "integer", "number", "string"}
	if c.Type == "" {
		errs = append(errs, field.Required(p.Child("type"), "must be one of "+strings.Join(types, ",")))
	} else if !slices.Contains(types, c.Type) {
		errs = append(errs, field.Invalid(p.Child("type"), c.Type, "must be one of "+strings.Join(types, ",")))
	}
	formats := []string{"byte", "date", "date-time", "double", "float", "int32", "int64", "password"}
	if c.Format != "" && !slices.Contains(formats, c.Format) {
		errs = append(errs, field.Invalid(p.Child("format"), c.Format, "must be one of "+strings.Join(formats, ",")))
	}
	if c.JSONPath == "" {
		return append(errs, field.Required(p.Child("JSONPath"), ""))
	}
	return append(errs, simplePath(p.Child("JSONPath"), c.JSONPath)...)
}

func simplePath(p *field.Path, v string) field.ErrorList {
	if v[0] != '.' {
		return check.One(field.Invalid(p, v, "must be a simple json path starting with ."))
	}
	return nil
}

func scale(p *field.Path, s *apiextensionsv1.CustomResourceSubresourceScale) field.ErrorList {
	under := func(p *field.Path, v, detail string, roots ...string) field.ErrorList {
		if errs := simplePath(p, v); errs != nil {
			return errs
		}
		if !slices.ContainsFunc(roots, func(r string) bool { return strings.HasPrefix(v, r) }) {
			return check.One(field.Invalid(p, v, "should be a json path under "+detail))
		}
		return nil
	}
	var errs field.ErrorList
	if at := p.Child("scale.specReplicasPath"); s.SpecReplicasPath == "" {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, under(at, s.SpecReplicasPath, ".spec", ".spec.")...)
	}
	if at := p.Child("scale.statusReplicasPath"); s.StatusReplicasPath == "" {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, under(at, s.StatusReplicasPath, ".status", ".status.")...)
	}
	if l := s.LabelSelectorPath; l != nil && *l != "" {
		errs = append(errs, under(p.Child("scale.labelSelectorPath"), *l, "either .spec or .status", ".spec.", ".status.")...)
	}
	return errs
}

// maxSelectable bounds the selectable fields of a version (KEP-4358).
const maxSelectable = 8

func selectable(p *field.Path, list []apiextensionsv1.SelectableField, s *structural.Structural) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, f := range list {
		at := p.Index(i).Child("jsonPath")
		if f.JSONPath == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		found, target, err := cel.ValidFieldPath(f.JSONPath, s, cel.WithFieldPathAllowArrayNotation(false))
		if err != nil {
			errs = append(errs, field.Invalid(at, f.JSONPath, fmt.Sprintf("is an invalid path: %v", err)))
			continue
		}
		if found.Root().String() == "metadata" {
			errs = append(errs, field.Invalid(at, f.JSONPath, "must not point to fields in metadata"))
		}
		if target == nil || target.Type != "string" && target.Type != "boolean" && target.Type != "integer" {
			errs = append(errs, field.Invalid(at, f.JSONPath, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."))
		}
		if seen[found.String()] {
			errs = append(errs, field.Duplicate(at, f.JSONPath))
		}
		seen[found.String()] = true
	}
	if len(seen) > maxSelectable {
		errs = append(errs, field.TooMany(p, len(seen), maxSelectable))
	}
	return errs
}

// crdValidateCreate checks what a new definition must have from the start.
func crdValidateCreate(o *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	errs := crdValidateSchemas(o, nil)
	errs = append(errs, approval(o, nil)...)
	return append(errs, preserve(o)...)
}

// crdValidateUpdate: once names are accepted there may be objects stored under them.
func crdValidateUpdate(o, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	p := field.NewPath("spec")
	errs := check.Join(check.Immutable(p.Child("group"), o.Spec.Group, old.Spec.Group), check.Immutable(p.Child("names", "plural"), o.Spec.Names.Plural, old.Spec.Names.Plural))
	if apihelpers.IsCRDConditionTrue(old, apiextensionsv1.Established) {
		errs = append(errs, check.Immutable(p.Child("scope"), o.Spec.Scope, old.Spec.Scope)...)
		errs = append(errs, check.Immutable(p.Child("names", "kind"), o.Spec.Names.Kind, old.Spec.Names.Kind)...)
		errs = append(errs, establishedBundle(p.Child("conversion", "webhookClientConfig", "caBundle"), o, old)...)
	}
	stored := field.NewPath("status", "storedVersions")
	for i, v := range o.Status.StoredVersions {
		if !slices.ContainsFunc(o.Spec.Versions, func(s apiextensionsv1.CustomResourceDefinitionVersion) bool { return s.Name == v }) {
			errs = append(errs, field.Invalid(stored.Index(i), v, "missing from spec.versions; "+v+" was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in "+v+" and removes "+v+" from status.storedVersions"))
		}
	}
	errs = append(errs, crdValidateSchemas(o, old)...)
	errs = append(errs, approval(o, old)...)
	if old.Spec.PreserveUnknownFields {
		return errs
	}
	return append(errs, preserve(o)...)
}

// approval: groups of the community want the address of their API review (KEP-1111).
func approval(o, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	if !apihelpers.IsProtectedCommunityGroup(o.Spec.Group) {
		return nil
	}
	state, why := apihelpers.GetAPIApprovalState(o.Annotations)
	if old != nil {
		if was, _ := apihelpers.GetAPIApprovalState(old.Annotations); was == state {
			return nil
		}
	}
	at := field.NewPath("metadata", "annotations").Key(apiextensionsv1.KubeAPIApprovedAnnotation)
	switch state {
	case apihelpers.APIApproved, apihelpers.APIApprovalBypassed:
		return nil
	case apihelpers.APIApprovalMissing:
		return check.One(field.Required(at, why))
	}
	return check.One(field.Invalid(at, o.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation], why))
}

func preserve(o *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	if !o.Spec.PreserveUnknownFields {
		return nil
	}
	return check.One(field.Invalid(field.NewPath("spec", "preserveUnknownFields"), true,
		"cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"))
}

// crdValidateSchemas checks the schemas that differ from old's: what was let in once stays in.
func crdValidateSchemas(o, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	var errs field.ErrorList
	known := map[string]*apiextensionsv1.CustomResourceDefinitionVersion{}
	stored := map[string]bool{}
	if old != nil {
		for i := range old.Spec.Versions {
			v := &old.Spec.Versions[i]
			known[v.Name] = v
			expressions(v, stored)
		}
	}
	for i := range o.Spec.Versions {
		v, p := &o.Spec.Versions[i], field.NewPath("spec", "versions").Index(i)
		was := known[v.Name]
		if was != nil && equality.Semantic.DeepEqual(was.Schema, v.Schema) && equality.Semantic.DeepEqual(was.Subresources, v.Subresources) &&
			equality.Semantic.DeepEqual(was.SelectableFields, v.SelectableFields) {
			continue
		}
		errs = append(errs, versionSchema(p, v, stored)...)
	}
	return errs
}

func versionSchema(p *field.Path, v *apiextensionsv1.CustomResourceDefinitionVersion, stored map[string]bool) field.ErrorList {
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		errs := check.One(field.Required(p.Child("schema", "openAPIV3Schema"), "schemas are required"))
		if len(v.SelectableFields) > 0 {
			errs = append(errs, field.Invalid(p.Child("selectableFields"), "", "may only be set when `version.schema.openAPIV3Schema` is not included"))
		}
		return errs
	}
	s := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, s, nil); err != nil {
		return check.One(field.Invalid(p.Child("schema", "openAPIV3Schema"), "", err.Error()))
	}
	errs := schema(p.Child("schema", "openAPIV3Schema"), s, v.Subresources != nil && v.Subresources.Status != nil, stored)
	if len(v.SelectableFields) > 0 {
		if ss, err := structural.NewStructural(s); err == nil {
			errs = append(errs, selectable(p.Child("selectableFields"), v.SelectableFields, ss)...)
		}
	}
	return errs
}
