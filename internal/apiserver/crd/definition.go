package crd

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// definition is a CustomResourceDefinition made ready to serve. It is immutable.
type definition struct {
	crd      *apiextensionsv1.CustomResourceDefinition
	group    string
	kind     string
	versions map[string]*version
	call     func(ctx context.Context, t webhook.Target, in, out any) error // for conversions
}

// version is one of its versions. What validates is built when first needed: many definitions are there and never used.
type version struct {
	spec       *apiextensionsv1.CustomResourceDefinitionVersion
	gv         schema.GroupVersion
	props      *apiextensions.JSONSchemaProps // nil: anything goes
	structural *structural.Structural
	preserve   bool // unknown fields are kept everywhere

	whole  func() (validation.SchemaValidator, error)
	status func() (validation.SchemaValidator, error) // nil, nil when the schema has no status
	rules  func() *cel.Validator                      // nil when there are none
}

func newDefinition(o *apiextensionsv1.CustomResourceDefinition) (*definition, error) {
	d := &definition{crd: o, group: o.Spec.Group, kind: o.Spec.Names.Kind, versions: map[string]*version{}}
	for i := range o.Spec.Versions {
		v, err := newVersion(o, &o.Spec.Versions[i])
		if err != nil {
			return nil, fmt.Errorf("version %s: %w", o.Spec.Versions[i].Name, err)
		}
		d.versions[v.spec.Name] = v
	}
	return d, nil
}

func newVersion(o *apiextensionsv1.CustomResourceDefinition, spec *apiextensionsv1.CustomResourceDefinitionVersion) (*version, error) {
	v := &version{spec: spec, gv: schema.GroupVersion{Group: o.Spec.Group, Version: spec.Name}, preserve: o.Spec.PreserveUnknownFields}
	if spec.Schema != nil && spec.Schema.OpenAPIV3Schema != nil {
		v.props = &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(spec.Schema.OpenAPIV3Schema, v.props, nil); err != nil {
			return nil, err
		}
		s, err := structural.NewStructural(v.props)
		switch {
		case err == nil:
			s = s.DeepCopy() // defaults are shared with the definition
			if err := defaulting.PruneDefaults(s); err != nil {
				return nil, err
			}
			v.structural = s
		case !v.preserve:
			return nil, err
		}
	}
	v.whole = sync.OnceValues(func() (validation.SchemaValidator, error) { return validator(v.props) })
	v.status = sync.OnceValues(func() (validation.SchemaValidator, error) {
		if v.props == nil {
			return nil, nil
		}
		p, ok := v.props.Properties["status"]
		if !ok {
			return nil, nil
		}
		return validator(&p)
	})
	v.rules = sync.OnceValue(func() *cel.Validator { return cel.NewValidator(v.structural, true, celconfig.PerCallLimit) })
	return v, nil
}

func validator(p *apiextensions.JSONSchemaProps) (validation.SchemaValidator, error) {
	v, _, err := validation.NewSchemaValidator(p)
	return v, err
}

func (v *version) hasStatus() bool {
	return v.spec.Subresources != nil && v.spec.Subresources.Status != nil
}

func (v *version) scale() *apiextensionsv1.CustomResourceSubresourceScale {
	if v.spec.Subresources == nil {
		return nil
	}
	return v.spec.Subresources.Scale
}

// of is the version that an object is in; nil when the definition does not have it.
func (d *definition) of(o runtime.Object) *version {
	gv := o.GetObjectKind().GroupVersionKind().GroupVersion()
	if gv.Group != d.group {
		return nil
	}
	return d.versions[gv.Version]
}

// storage is the version that objects are stored in.
func (d *definition) storage() *version {
	for _, v := range d.versions {
		if v.spec.Storage {
			return v
		}
	}
	return nil
}

// make makes the kind that the definition describes. root is the kind made first from the same definition, nil when this is it.
func (d *definition) make(root *api.Kind, revision string, closed func() string) (*api.Kind, error) {
	n := d.crd.Status.AcceptedNames
	k := &api.Kind{
		Kind: n.Kind, ListKind: n.ListKind, Resource: n.Plural, Singular: n.Singular, ShortNames: n.ShortNames, Categories: n.Categories,
		Namespaced: d.crd.Spec.Scope == apiextensionsv1.NamespaceScoped, HasGeneration: true,
		Default:       func(o api.Object) { d.complete(o.(*unstructured.Unstructured)) },
		PrepareCreate: func(o api.Object) { d.prepareCreate(o.(*unstructured.Unstructured)) },
		PrepareUpdate: func(o, old api.Object) {
			d.prepareUpdate(o.(*unstructured.Unstructured), old.(*unstructured.Unstructured))
		},
		ValidateCreate: onNew(d.validateCreate),
		ValidateUpdate: onBoth(d.validateUpdate),
		Warnings:       warnings,
	}
	storage := d.storage()
	if storage == nil {
		return nil, fmt.Errorf("no version is the storage version")
	}
	names := []*version{storage}
	for i := range d.crd.Spec.Versions {
		if v := d.versions[d.crd.Spec.Versions[i].Name]; v != storage {
			names = append(names, v)
		}
	}
	for _, v := range names {
		k.Versions = append(k.Versions, d.version(v))
	}
	c := d.crd.Spec.Conversion
	k.Custom = &api.Custom{
		Root: root, Revision: revision, Loaded: d.loaded, Closed: closed,
		ByWebhook: c != nil && c.Strategy == apiextensionsv1.WebhookConverter,
		ConvertAll: func(ctx context.Context, objs []api.Object, i int) ([]api.Object, error) {
			return d.convertAll(ctx, objs, names[i])
		},
		Schema: published(names),
	}
	return k, nil
}

func (d *definition) version(v *version) api.Version {
	gvk := v.gv.WithKind(d.crd.Status.AcceptedNames.Kind)
	listKind := v.gv.WithKind(d.crd.Status.AcceptedNames.ListKind)
	out := api.Version{
		Group: v.gv.Group, Version: v.gv.Version, Unserved: !v.spec.Served, Deprecation: d.deprecation(v),
		New: func() api.Object {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			u.SetGroupVersionKind(gvk)
			return u
		},
		NewList: func() runtime.Object {
			l := &unstructured.UnstructuredList{Object: map[string]any{}}
			l.SetGroupVersionKind(listKind)
			return l
		},
		FromHub: func(o api.Object) (api.Object, error) { return d.convert(o, v) },
		Coerce: func(o api.Object, unknown bool) ([]string, error) {
			return d.coerce(o.(*unstructured.Unstructured), unknown, false)
		},
		Fields: selectableFields(v.spec.SelectableFields),
	}
	out.Columns, out.Cells = columns(v.spec.AdditionalPrinterColumns)
	if v.hasStatus() {
		out.Subresources = append(out.Subresources, d.statusSub())
	}
	if v.scale() != nil {
		out.Subresources = append(out.Subresources, scaleSub(v.scale()))
	}
	return out
}

// deprecation is the warning of a deprecated version, with the best version to use instead.
func (d *definition) deprecation(v *version) string {
	if !v.spec.Deprecated {
		return ""
	}
	if w := v.spec.DeprecationWarning; w != nil {
		return *w
	}
	text := fmt.Sprintf("%s %s is deprecated", v.gv, d.kind)
	var better []string
	for name, o := range d.versions {
		if o.spec.Served && !o.spec.Deprecated && newer(name, v.spec.Name) {
			better = append(better, name)
		}
	}
	if len(better) == 0 {
		return text
	}
	best := better[0]
	for _, b := range better {
		if newer(b, best) {
			best = b
		}
	}
	return fmt.Sprintf("%s; use %s/%s %s", text, d.group, best, d.kind)
}

// path splits a simple JSON path (".spec.replicas").
func path(p string) []string { return strings.Split(strings.TrimPrefix(p, "."), ".") }
