// Package codec turns API objects into bytes and back: JSON, YAML and
// protobuf on the wire, the protobuf envelope in the store.
//
// It must not know about requests or caches. Read this file first.
//
// Objects in memory have an empty TypeMeta (custom resources keep theirs); kind and apiVersion are put in
// front of the encoded bytes, so one encoding serves as a list's item (without
// them) and as an object of its own (with them).
package codec

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Format is a wire encoding.
type Format uint8

// The formats. YAML is made from JSON.
const (
	JSON Format = iota
	Protobuf
	YAML
)

// Media types of the formats.
const (
	TypeJSON     = "application/json"
	TypeProtobuf = "application/vnd.kubernetes.protobuf"
	TypeYAML     = "application/yaml"
)

func (f Format) String() string { return [...]string{TypeJSON, TypeProtobuf, TypeYAML}[f] }

// Body encodes obj without kind and apiVersion, in JSON or protobuf.
func Body(f Format, obj runtime.Object) ([]byte, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return unstructuredBody(f, u)
	}
	if gvk := obj.GetObjectKind().GroupVersionKind(); !gvk.Empty() {
		obj = obj.DeepCopyObject()
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	if f == Protobuf {
		return marshalProto(obj)
	}
	return json.Marshal(obj)
}

func unstructuredBody(f Format, u *unstructured.Unstructured) ([]byte, error) {
	if f == Protobuf {
		return nil, ErrNoProtobuf
	}
	m := maps.Clone(u.Object)
	delete(m, "kind")
	delete(m, "apiVersion")
	return json.Marshal(m)
}

// Prefix is what WithKind puts in front of a body.
func Prefix(f Format, gvk schema.GroupVersionKind) []byte {
	if f == Protobuf {
		return nil
	}
	b := append([]byte(`{"kind":`), strconv.Quote(gvk.Kind)...)
	b = append(b, `,"apiVersion":`...)
	return append(b, strconv.Quote(gvk.GroupVersion().String())...)
}

// AppendWithKind appends body as an object of its own: kind and apiVersion first.
func AppendWithKind(dst []byte, f Format, gvk schema.GroupVersionKind, body []byte) []byte {
	if f == Protobuf {
		return AppendUnknown(dst, gvk, body)
	}
	dst = append(dst, Prefix(f, gvk)...)
	if len(body) > 2 {
		dst = append(dst, ',')
	}
	return append(dst, body[1:]...)
}

// Object encodes a whole object of the kind.
func Object(f Format, gvk schema.GroupVersionKind, obj runtime.Object) ([]byte, error) {
	if u, ok := obj.(runtime.Unstructured); ok {
		if f == Protobuf {
			return nil, fmt.Errorf("encode %s: %s has no protobuf form", gvk, gvk.Kind)
		}
		return json.Marshal(u)
	}
	body, err := Body(f, obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", gvk, err)
	}
	return AppendWithKind(make([]byte, 0, len(body)+len(gvk.Kind)+len(gvk.Group)+64), f, gvk, body), nil
}
