package apiserver

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// decodeBody reads the object of a create or update and converts it to the hub version.
func (s *Server) decodeBody(w http.ResponseWriter, r *http.Request, c *call) (api.Object, error) {
	f, err := inputFormat(r)
	if err != nil {
		return nil, err
	}
	data, err := readBody(r, w)
	if err != nil {
		return nil, err
	}
	if f == codec.Protobuf && c.kind.Custom != nil {
		return nil, unsupportedType(codec.TypeProtobuf, codec.TypeJSON, codec.TypeYAML)
	}
	obj := c.ver().New()
	if err := c.decode(f, data, c.gvk(), obj); err != nil {
		return nil, err
	}
	return toHub(c, obj)
}

func toHub(c *call, obj api.Object) (api.Object, error) {
	if c.ver().ToHub == nil {
		return obj, nil
	}
	hub, err := c.ver().ToHub(obj)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return hub, nil
}

// decode reads one object of kind want and applies the field validation asked for.
func (c *call) decode(f codec.Format, data []byte, want schema.GroupVersionKind, into runtime.Object) error {
	got, strict, err := codec.Decode(f, data, want, into)
	if err != nil {
		return cannotHandle(got, want, err)
	}
	if got.GroupVersion() == want.GroupVersion() && got.Kind != want.Kind {
		if c.kind.Custom != nil {
			return apierrors.NewInvalid(want.GroupKind(), c.name, field.ErrorList{field.Invalid(field.NewPath("kind"), got.Kind, "must be "+want.Kind)})
		}
		return cannotHandle(got, want, fmt.Errorf("converting (%s) to (%s): unknown conversion", got.Kind, want.Kind))
	}
	if got != want {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)",
			got.GroupVersion(), want.GroupVersion()))
	}
	if strict, err = c.coerce(into, strict); err != nil {
		return cannotHandle(got, want, err)
	}
	return c.strictness(got, want, strict)
}

// coerce drops from a custom resource what its schema does not know, and adds its name to what a strict reader minds.
func (c *call) coerce(into runtime.Object, strict []error) ([]error, error) {
	u, ok := into.(*unstructured.Unstructured)
	if !ok || c.ver().Coerce == nil {
		return strict, nil
	}
	unknown, err := c.ver().Coerce(u, c.fieldValidation != metav1.FieldValidationIgnore)
	for _, f := range unknown {
		strict = append(strict, fmt.Errorf("unknown field %q", f))
	}
	return strict, err
}

// strictness turns unknown and duplicate fields into an error, warnings or nothing.
func (c *call) strictness(got, want schema.GroupVersionKind, strict []error) error {
	if len(strict) == 0 {
		return nil
	}
	switch c.fieldValidation {
	case metav1.FieldValidationIgnore:
	case metav1.FieldValidationStrict:
		return cannotHandle(got, want, runtime.NewStrictDecodingError(strict))
	default:
		for _, e := range strict {
			c.warn(e.Error())
		}
	}
	return nil
}

func cannotHandle(got, want schema.GroupVersionKind, err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", got.Kind, got.Version, want.Kind, err))
}
