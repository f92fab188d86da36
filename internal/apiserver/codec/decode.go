package codec

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// KindOf reads kind and apiVersion of a JSON document; either may be empty.
func KindOf(data []byte) (schema.GroupVersionKind, error) {
	var m struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("couldn't get version/kind; json parse error: %w", err)
	}
	gv, err := schema.ParseGroupVersion(m.APIVersion)
	return gv.WithKind(m.Kind), err
}

// Decode reads data in the format into into, which gets an empty TypeMeta. gvk is what the data says
// it is; fields it leaves empty are filled from want. Problems that only a strict
// reader minds (unknown and duplicate fields) come back as strict.
func Decode(f Format, data []byte, want schema.GroupVersionKind, into runtime.Object) (gvk schema.GroupVersionKind, strict []error, err error) {
	switch f {
	case Protobuf:
		var body []byte
		if gvk, body, err = OpenProto(data); err != nil {
			return gvk, nil, err
		}
		if gvk = fill(gvk, want); gvk != want {
			return gvk, nil, nil
		}
		err = UnmarshalProto(body, into)
	case YAML:
		j, yerr := yaml.YAMLToJSON(data)
		if yerr != nil {
			return gvk, nil, yerr
		}
		_, serr := yaml.YAMLToJSONStrict(data)
		gvk, strict, err = decodeJSON(j, want, into)
		if serr != nil {
			strict = append([]error{serr}, strict...)
		}
	default:
		gvk, strict, err = decodeJSON(data, want, into)
	}
	if _, custom := into.(*unstructured.Unstructured); !custom {
		into.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return gvk, strict, err
}

func decodeJSON(data []byte, want schema.GroupVersionKind, into runtime.Object) (schema.GroupVersionKind, []error, error) {
	if u, ok := into.(*unstructured.Unstructured); ok {
		return decodeUnstructured(data, want, u)
	}
	strict, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		gvk, _ := KindOf(data)
		return fill(gvk, want), nil, err
	}
	return fill(into.GetObjectKind().GroupVersionKind(), want), strict, nil
}

// decodeUnstructured reads an object whose type is known from its own words alone: those must be there.
func decodeUnstructured(data []byte, want schema.GroupVersionKind, into *unstructured.Unstructured) (schema.GroupVersionKind, []error, error) {
	m := map[string]any{}
	strict, err := kjson.UnmarshalStrict(data, &m)
	if err != nil {
		return want, nil, err
	}
	into.Object = m
	gvk := into.GroupVersionKind()
	switch {
	case m["kind"] == nil || gvk.Kind == "":
		return want, nil, runtime.NewMissingKindErr(string(data))
	case into.GetAPIVersion() == "":
		return want, nil, runtime.NewMissingVersionErr(string(data))
	}
	return gvk, strict, nil
}

func fill(gvk, want schema.GroupVersionKind) schema.GroupVersionKind {
	if gvk.Kind == "" {
		gvk.Kind = want.Kind
	}
	if gvk.Version == "" && gvk.Group == "" {
		gvk.Group, gvk.Version = want.Group, want.Version
	}
	return gvk
}
