package apiextensions

import (
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
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

// crdValidate checks names and versions. Schemas are checked by who compiles them.
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
	errs = append(errs, names(p.Child("names"), &s.Names)...)
	errs = append(errs, versions(p.Child("versions"), s.Versions)...)
	c, cp := s.Conversion, p.Child("conversion")
	if c == nil {
		return errs
	}
	errs = append(errs, check.OneOf(cp.Child("strategy"), c.Strategy, apiextensionsv1.NoneConverter, apiextensionsv1.WebhookConverter)...)
	switch {
	case c.Strategy == apiextensionsv1.NoneConverter && c.Webhook != nil:
		errs = append(errs, field.Forbidden(cp.Child("webhookClientConfig"), "should not be set when strategy is not set to Webhook"))
	case c.Strategy != apiextensionsv1.WebhookConverter:
	case s.PreserveUnknownFields:
		errs = append(errs, field.Invalid(cp.Child("strategy"), c.Strategy, "must be None if spec.preserveUnknownFields is true"))
	case c.Webhook == nil || c.Webhook.ClientConfig == nil:
		errs = append(errs, field.Required(cp.Child("webhookClientConfig"), "required when strategy is set to Webhook"))
	case (c.Webhook.ClientConfig.URL == nil) == (c.Webhook.ClientConfig.Service == nil):
		errs = append(errs, field.Required(cp.Child("webhookClientConfig"), "exactly one of url or service is required"))
	case len(c.Webhook.ConversionReviewVersions) == 0:
		errs = append(errs, field.Required(cp.Child("conversionReviewVersions"), ""))
	}
	return errs
}

func names(p *field.Path, n *apiextensionsv1.CustomResourceDefinitionNames) field.ErrorList {
	var errs field.ErrorList
	label := func(p *field.Path, v string) {
		errs = append(errs, check.Invalid(p, v, validation.IsDNS1035Label(v))...)
	}
	label(p.Child("plural"), n.Plural)
	if n.Singular != "" {
		label(p.Child("singular"), n.Singular)
	}
	errs = append(errs, check.Join(check.Present(p.Child("kind"), n.Kind), check.Present(p.Child("listKind"), n.ListKind))...)
	if n.Kind != "" {
		label(p.Child("kind"), strings.ToLower(n.Kind))
	}
	for i, s := range n.ShortNames {
		label(p.Child("shortNames").Index(i), s)
	}
	for i, c := range n.Categories {
		label(p.Child("categories").Index(i), c)
	}
	if n.Kind != "" && n.Kind == n.ListKind {
		errs = append(errs, field.Invalid(p.Child("listKind"), n.ListKind, "kind and listKind may not be the same"))
	}
	return errs
}

func versions(p *field.Path, list []apiextensionsv1.CustomResourceDefinitionVersion) field.ErrorList {
	var errs field.ErrorList
	stored := 0
	seen := map[string]bool{}
	for i := range list {
		v, ip := &list[i], p.Index(i)
		errs = append(errs, check.Invalid(ip.Child("name"), v.Name, validation.IsDNS1035Label(v.Name))...)
		if seen[v.Name] {
			errs = append(errs, field.Invalid(p, list, "must contain unique version names"))
		}
		seen[v.Name] = true
		if v.Storage {
			stored++
		}
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			errs = append(errs, field.Required(ip.Child("schema", "openAPIV3Schema"), "schemas are required"))
		} else if t := v.Schema.OpenAPIV3Schema.Type; t != "object" {
			errs = append(errs, check.OneOf(ip.Child("schema", "openAPIV3Schema", "type"), t, "object")...)
		}
		if v.DeprecationWarning != nil && !v.Deprecated {
			errs = append(errs, field.Invalid(ip.Child("deprecationWarning"), *v.DeprecationWarning, "can only be set for deprecated versions"))
		}
		for j, c := range v.AdditionalPrinterColumns {
			cp := ip.Child("additionalPrinterColumns").Index(j)
			errs = append(errs, check.Join(check.Present(cp.Child("name"), c.Name), check.Present(cp.Child("jsonPath"), c.JSONPath),
				check.OneOf(cp.Child("type"), c.Type, "boolean", "date", "integer", "number", "string"))...)
		}
		if s := v.Subresources; s != nil && s.Scale != nil {
			sp := ip.Child("subresources", "scale")
			for _, f := range []struct{ name, path, root string }{
				{"specReplicasPath", s.Scale.SpecReplicasPath, ".spec."}, {"statusReplicasPath", s.Scale.StatusReplicasPath, ".status."},
			} {
				if f.path == "" {
					errs = append(errs, field.Required(sp.Child(f.name), ""))
				} else if !strings.HasPrefix(f.path, f.root) {
					errs = append(errs, field.Invalid(sp.Child(f.name), f.path, "should be a json path under "+strings.TrimSuffix(f.root, ".")))
				}
			}
		}
	}
	if stored != 1 {
		errs = append(errs, field.Invalid(p, list, "must have exactly one version marked as storage version"))
	}
	return errs
}

// crdValidateUpdate: once names are accepted there may be objects stored under them.
func crdValidateUpdate(o, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	p := field.NewPath("spec")
	errs := check.Join(check.Immutable(p.Child("group"), o.Spec.Group, old.Spec.Group), check.Immutable(p.Child("names", "plural"), o.Spec.Names.Plural, old.Spec.Names.Plural))
	for _, c := range old.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			errs = append(errs, check.Immutable(p.Child("scope"), o.Spec.Scope, old.Spec.Scope)...)
			errs = append(errs, check.Immutable(p.Child("names", "kind"), o.Spec.Names.Kind, old.Spec.Names.Kind)...)
		}
	}
	for _, v := range o.Status.StoredVersions {
		if !slices.ContainsFunc(o.Spec.Versions, func(s apiextensionsv1.CustomResourceDefinitionVersion) bool { return s.Name == v }) {
			errs = append(errs, field.Invalid(field.NewPath("status", "storedVersions"), o.Status.StoredVersions, "missing from spec.versions; "+v+" was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in "+v+" and removes "+v+" from status.storedVersions"))
		}
	}
	return errs
}
