package apply

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/dhow-project/dhow/internal/api"
)

// customResetFields are those of each version by its own subresources, as upstream's custom resources have them.
func customResetFields(k *api.Kind, subresource string) map[fieldpath.APIVersion]fieldpath.Filter {
	out := map[fieldpath.APIVersion]fieldpath.Filter{}
	for i, v := range k.Versions {
		status := false
		for _, s := range k.SubresourcesOf(i) {
			status = status || s.Name == "status"
		}
		set := fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
		switch {
		case !status:
			continue
		case subresource == "status":
			set = fieldpath.NewSet(fieldpath.MakePathOrDie("metadata"), fieldpath.MakePathOrDie("spec"))
		case subresource != "":
			continue
		}
		out[fieldpath.APIVersion(v.GroupVersion().String())] = fieldpath.NewExcludeSetFilter(set)
	}
	return out
}

const (
	customType  = "custom"
	openAPIMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// customParser derives the merge schema of a custom kind from its OpenAPI; metadata is that of all kinds. A schema that
// says nothing merges as its values look.
func customParser(k *api.Kind, version int) typed.ParseableType {
	b := &builder{named: map[string]bool{}}
	b.add(untypedAtomic, atomicAtom())
	metadata := b.ref(reflect.TypeFor[metav1.ObjectMeta](), Marker{})
	sch := k.Custom.Schema(version, false)
	out, err := schemaconv.ToSchemaFromOpenAPI(map[string]*spec.Schema{customType: sch}, false)
	if err != nil {
		return typed.DeducedParseableType
	}
	for i := range out.Types {
		t := &out.Types[i]
		if t.Name == customType && t.Map != nil {
			withMeta(t.Map, metadata)
		}
	}
	for _, t := range b.types {
		if t.Name == *metadata.NamedType { // embedded objects name it as OpenAPI does
			alias := t
			alias.Name = openAPIMeta
			out.Types = append(out.Types, alias)
		}
		if _, has := out.FindNamedType(t.Name); !has {
			out.Types = append(out.Types, t)
		}
	}
	name := customType
	return typed.ParseableType{TypeRef: schema.TypeRef{NamedType: &name}, Schema: &schema.Schema{Types: out.Types}}
}

// withMeta gives a map the fields that every object has.
func withMeta(m *schema.Map, metadata schema.TypeRef) {
	var fields []schema.StructField
	for _, f := range m.Fields {
		switch f.Name {
		case "apiVersion", "kind", "metadata":
		default:
			fields = append(fields, f)
		}
	}
	m.Fields = append(fields,
		schema.StructField{Name: "apiVersion", Type: scalarRef(schema.String)},
		schema.StructField{Name: "kind", Type: scalarRef(schema.String)},
		schema.StructField{Name: "metadata", Type: metadata})
}
