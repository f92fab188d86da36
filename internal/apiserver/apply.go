package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

// apply is server-side apply; an object that does not exist is created.
func (s *Server) apply(c *call, data []byte) (*cache.Entry, bool, error) {
	if c.manager == "" {
		return nil, false, apierrors.NewBadRequest("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
	}
	doc, simple := data, simpleJSON(data)
	if !simple {
		var err error
		if doc, err = yaml.YAMLToJSON(data); err != nil {
			return nil, false, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
		}
	}
	probe := &metav1.PartialObjectMetadata{}
	if err := c.probe(doc, probe); err != nil {
		return nil, false, err
	}
	if n := probe.GetName(); n != "" && n != c.name {
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", n, c.name))
	}
	if !simple {
		if err := c.strictApply(data); err != nil {
			return nil, false, err
		}
	}
	return s.modify(c, c.sub == nil, func(old api.Object) (api.Object, bool, error) {
		obj, err := s.fields.Apply(c.kind, c.version, c.subresource, old, doc, c.manager, c.force)
		if err != nil {
			return nil, false, err
		}
		if obj.GetName() == "" {
			obj.SetName(c.name)
		}
		return obj, true, matchNamespace(c, obj)
	})
}

// simpleJSON is whether data is what YAML would be read as, and in no way strange: JSON without duplicate keys, numbers
// with fractions and escapes that YAML knows otherwise. Reading YAML costs as much as all the rest of a small apply.
func simpleJSON(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("{")) || bytes.Contains(data, []byte(`\u`)) || bytes.Contains(data, []byte("<<")) {
		return false
	}
	var content map[string]any
	strict, err := kjson.UnmarshalStrict(data, &content)
	return err == nil && len(strict) == 0 && !hasFloat(content)
}

func hasFloat(v any) bool {
	switch v := v.(type) {
	case float64:
		return true
	case map[string]any:
		for _, e := range v {
			if hasFloat(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasFloat)
	}
	return false
}

// probe reads the metadata of a configuration. Whether it fits the kind's schema is seen when it is merged.
func (c *call) probe(doc []byte, into *metav1.PartialObjectMetadata) error {
	if err := json.Unmarshal(doc, into); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
	}
	if got := into.GroupVersionKind(); got != c.gvk() {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid object type: %s, expected %s", got, c.gvk()))
	}
	return nil
}

// strictApply minds duplicate keys as the field validation asks.
func (c *call) strictApply(data []byte) error {
	if c.fieldValidation == metav1.FieldValidationIgnore {
		return nil
	}
	err := yaml.UnmarshalStrict(data, &map[string]any{})
	switch {
	case err == nil:
	case c.fieldValidation == metav1.FieldValidationStrict:
		return apierrors.NewBadRequest(fmt.Sprintf("error strict decoding YAML: %v", err))
	default:
		c.warn(err.Error())
	}
	return nil
}
