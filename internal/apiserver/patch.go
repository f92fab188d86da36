package apiserver

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// maxPatchOps bounds a JSON patch, as upstream.
const maxPatchOps = 10000

func (s *Server) servePatch(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q, "Table", "PartialObjectMetadata")
	if err != nil {
		return err
	}
	typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if types := patchTypesOf(c.kind); err != nil || !contains(types, typ) {
		return unsupportedType(r.Header.Get("Content-Type"), types...)
	}
	c.applying = types.PatchType(typ) == types.ApplyPatchType
	if err := c.writeOptions(q, r.UserAgent()); err != nil {
		return err
	}
	data, err := readBody(r, w)
	if err != nil {
		return err
	}
	if c.sub != nil && c.sub.Scale != nil {
		return s.serveScalePatch(w, r, o, c, types.PatchType(typ), data)
	}
	e, created, err := s.patch(c, types.PatchType(typ), data)
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	return s.entry(w, r, o, code(created), c, e)
}

var patchTypes = []string{
	string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.ApplyPatchType),
}

// patchTypesOf: a strategic merge needs Go types.
func patchTypesOf(k *api.Kind) []string {
	if k.Custom != nil {
		return slices.DeleteFunc(slices.Clone(patchTypes), func(t string) bool { return t == string(types.StrategicMergePatchType) })
	}
	return patchTypes
}

// patch changes an object as data of the type says.
func (s *Server) patch(c *call, typ types.PatchType, data []byte) (*cache.Entry, bool, error) {
	if typ == types.ApplyPatchType {
		return s.apply(c, data)
	}
	if c.forceSet {
		return nil, false, apierrors.NewBadRequest("force may not be specified for non-apply patch")
	}
	return s.modify(c, false, func(old api.Object) (api.Object, bool, error) {
		obj, err := c.patched(old, typ, data)
		return obj, false, err
	})
}

// patched is a copy of old, a hub object, with the patch applied in the version of the call.
func (c *call) patched(old api.Object, typ types.PatchType, data []byte) (api.Object, error) {
	from, err := codec.InVersion(c.ver(), old)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	into := c.ver().New()
	if err := c.patchInto(from, into, typ, data); err != nil {
		return nil, err
	}
	obj, err := toHub(c, into)
	if err != nil {
		return nil, err
	}
	if obj.GetName() != c.name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), c.name))
	}
	return obj, matchNamespace(c, obj)
}

// patchInto decodes from with the patch applied.
func (c *call) patchInto(from, into runtime.Object, typ types.PatchType, data []byte) error {
	gvk := c.gvk()
	if c.sub != nil && c.sub.Scale != nil {
		gvk = scaleKind
	}
	doc, err := codec.Object(codec.JSON, gvk, from)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	strict := strictPatch(typ, data)
	doc, err = patchJSON(doc, into, typ, data)
	if err != nil {
		return err
	}
	got, unknown, err := codec.Decode(codec.JSON, doc, gvk, into)
	if err != nil {
		return invalidPatch(doc, err)
	}
	if got != gvk {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)",
			got.GroupVersion(), gvk.GroupVersion()))
	}
	if unknown, err = c.coerce(into, unknown); err != nil {
		return invalidPatch(doc, err)
	}
	if strict = append(strict, unknown...); len(strict) == 0 {
		return nil
	}
	switch c.fieldValidation {
	case metav1.FieldValidationIgnore:
	case metav1.FieldValidationStrict:
		return invalidPatch(doc, runtime.NewStrictDecodingError(strict))
	default:
		for _, e := range strict {
			c.warn(e.Error())
		}
	}
	return nil
}

// invalidPatch says that the document a patch led to is not an object.
func invalidPatch(doc []byte, err error) error {
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(doc), err.Error())})
}

// jsonPatchOp has the fields of RFC 6902.
type jsonPatchOp struct {
	Op    string `json:"op"`
	From  string `json:"from"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// strictPatch finds what only a strict reader minds in the patch itself: duplicate fields, and unknown ones of JSON patches.
func strictPatch(typ types.PatchType, data []byte) []error {
	if typ == types.JSONPatchType {
		var ops []jsonPatchOp
		strict, err := kjson.UnmarshalStrict(data, &ops)
		if err != nil {
			return nil // said when the patch is applied
		}
		for i := range strict {
			strict[i] = fmt.Errorf("json patch %w", strict[i])
		}
		return strict
	}
	var m map[string]any
	strict, err := kjson.UnmarshalStrict(data, &m)
	if err != nil {
		return nil
	}
	return strict
}

func patchJSON(doc []byte, like runtime.Object, typ types.PatchType, data []byte) ([]byte, error) {
	switch typ {
	case types.JSONPatchType:
		p, err := jsonpatch.DecodePatch(data)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if len(p) > maxPatchOps {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
				"The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOps, len(p)))
		}
		out, err := p.Apply(doc)
		if err != nil {
			return nil, unprocessable(err)
		}
		return out, nil
	case types.MergePatchType:
		if !json.Valid(data) {
			j, err := yaml.YAMLToJSON(data)
			if err != nil {
				return nil, apierrors.NewBadRequest(err.Error())
			}
			data = j
		}
		out, err := jsonpatch.MergePatch(doc, data)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return out, nil
	case types.StrategicMergePatchType:
		if j, err := yaml.YAMLToJSON(data); err == nil && !json.Valid(data) {
			data = j
		}
		out, err := strategicpatch.StrategicMergePatch(doc, data, reflect.New(reflect.TypeOf(like).Elem()).Interface())
		if err != nil {
			return nil, strategicError(err)
		}
		return out, nil
	}
	return nil, unsupportedType(string(typ), patchTypes...)
}

func unprocessable(err error) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
}

// strategicError classifies as upstream's ConvertErrorToAPIError for patches.
func strategicError(err error) error {
	switch err {
	case mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat:
		return apierrors.NewBadRequest(err.Error())
	case mergepatch.ErrNoListOfLists:
		return unprocessable(err)
	}
	return unprocessable(err)
}
