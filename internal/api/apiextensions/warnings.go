package apiextensions

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// crdWarnings names formats that nobody checks, if they are new.
func crdWarnings(o, old *apiextensionsv1.CustomResourceDefinition) (out []string) {
	seen := map[string]bool{}
	if old != nil {
		for _, f := range unknownFormats(old) {
			seen[f] = true
		}
	}
	for _, f := range unknownFormats(o) {
		if !seen[f] {
			seen[f] = true
			out = append(out, fmt.Sprintf("unrecognized format %q", f))
		}
	}
	return out
}

func unknownFormats(o *apiextensionsv1.CustomResourceDefinition) (out []string) {
	for _, v := range o.Spec.Versions {
		if v.Schema == nil {
			continue
		}
		each(v.Schema.OpenAPIV3Schema, func(s *apiextensionsv1.JSONSchemaProps) {
			if s.Format != "" {
				of := &spec.Schema{SchemaProps: spec.SchemaProps{Format: s.Format, Type: []string{s.Type}}}
				out = append(out, apivalidation.GetUnrecognizedFormats(of, environment.DefaultCompatibilityVersion())...)
			}
		})
	}
	return out
}
