package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
)

const (
	protobuf = "application/vnd.kubernetes.protobuf"
	jsonType = "application/json"
	accept   = protobuf + ", " + jsonType
)

// magic begins every protobuf document: then comes a runtime.Unknown (upstream's protobuf serializer).
var magic = []byte("k8s\x00") // never changed

type marshaler interface{ Marshal() ([]byte, error) }

type unmarshaler interface{ Unmarshal([]byte) error }

// encode writes o, of the version, as protobuf when its type can, else as JSON.
func encode(v api.Version, kind string, o runtime.Object) (contentType string, body []byte, err error) {
	meta := runtime.TypeMeta{APIVersion: v.GroupVersion().String(), Kind: kind}
	m, ok := o.(marshaler)
	if !ok {
		o = o.DeepCopyObject()
		o.GetObjectKind().SetGroupVersionKind(v.GroupVersion().WithKind(kind))
		body, err = json.Marshal(o)
		return jsonType, body, err
	}
	raw, err := m.Marshal()
	if err != nil {
		return "", nil, err
	}
	u := runtime.Unknown{TypeMeta: meta, Raw: raw}
	if body, err = u.Marshal(); err != nil {
		return "", nil, err
	}
	return protobuf, append(bytes.Clone(magic), body...), nil
}

// decode reads a document into into, or gives the Status that came instead.
func decode(contentType string, body []byte, into runtime.Object) (*metav1.Status, error) {
	if !isProtobuf(contentType) {
		var meta runtime.TypeMeta
		if err := json.Unmarshal(body, &meta); err != nil {
			return nil, fmt.Errorf("decode JSON: %w", err)
		}
		if meta.Kind == "Status" && meta.APIVersion == "v1" {
			s := &metav1.Status{}
			return s, json.Unmarshal(body, s)
		}
		return nil, json.Unmarshal(body, into)
	}
	rest, ok := bytes.CutPrefix(body, magic)
	if !ok {
		return nil, fmt.Errorf("decode protobuf: no magic number")
	}
	var u runtime.Unknown
	if err := u.Unmarshal(rest); err != nil {
		return nil, fmt.Errorf("decode protobuf: %w", err)
	}
	if u.Kind == "Status" && u.APIVersion == "v1" {
		s := &metav1.Status{}
		return s, s.Unmarshal(u.Raw)
	}
	p, ok := into.(unmarshaler)
	if !ok {
		return nil, fmt.Errorf("decode protobuf: %T has none", into)
	}
	return nil, p.Unmarshal(u.Raw)
}

func isProtobuf(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == protobuf
}
