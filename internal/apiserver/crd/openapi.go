package crd

import (
	"slices"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	openapiv2 "k8s.io/apiextensions-apiserver/pkg/controller/openapi/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// published gives the schemas of versions to clients.
func published(versions []*version) func(i int, v2 bool) *spec.Schema {
	return func(i int, v2 bool) *spec.Schema { return versions[i].publish(v2) }
}

// publish is the version's schema for clients. Where clients of OpenAPI v2 could only misunderstand it, it says less.
func (v *version) publish(v2 bool) *spec.Schema {
	s := v.structural
	if s == nil || len(structural.ValidateStructural(nil, s)) > 0 || v2 && (s.XPreserveUnknownFields || v.preserve) {
		return &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}}
	}
	s = s.Unfold()
	if v2 {
		s = openapiv2.ToStructuralOpenAPIV2(s)
	}
	out := s.ToKubeOpenAPI()
	typeMeta(out, v2)
	embedded(out, v2)
	return out
}

// typeMeta adds what every object has.
func typeMeta(s *spec.Schema, v2 bool) {
	doc := metav1.TypeMeta{}.SwaggerDoc()
	s.SetProperty("apiVersion", *spec.StringProperty().WithDescription(doc["apiVersion"]))
	s.SetProperty("kind", *spec.StringProperty().WithDescription(doc["kind"]))
	metadata := spec.RefSchema("#/definitions/" + objectMeta)
	if !v2 { // what stands beside a reference does not count there
		metadata = &spec.Schema{SchemaProps: spec.SchemaProps{AllOf: []spec.Schema{*spec.RefSchema("#/components/schemas/" + objectMeta)}}}
	}
	s.SetProperty("metadata", *metadata.WithDescription(metav1.PartialObjectMetadata{}.SwaggerDoc()["metadata"]))
}

// embedded completes objects inside of objects.
func embedded(s *spec.Schema, v2 bool) {
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		embedded(&p, v2)
		s.Properties[name] = p
	}
	if s.Items != nil {
		embedded(s.Items.Schema, v2)
	}
	if s.AdditionalProperties != nil {
		embedded(s.AdditionalProperties.Schema, v2)
	}
	is := func(extension string) bool { yes, ok := s.Extensions.GetBool(extension); return yes && ok }
	if !is("x-kubernetes-embedded-resource") || v2 && is("x-kubernetes-preserve-unknown-fields") {
		return
	}
	typeMeta(s, v2)
	for _, name := range []string{"kind", "apiVersion"} {
		if !slices.Contains(s.Required, name) {
			s.Required = append(s.Required, name)
		}
	}
}
