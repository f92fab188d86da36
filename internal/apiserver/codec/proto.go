package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// magic starts every protobuf message of Kubernetes (apimachinery/pkg/runtime/serializer/protobuf).
var magic = []byte{'k', '8', 's', 0}

type marshaler interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

type unmarshaler interface{ Unmarshal([]byte) error }

// ErrNoProtobuf is returned for types that exist in JSON only (Table, unstructured objects).
var ErrNoProtobuf = errors.New("object has no protobuf form")

// HasProto reports whether obj can be encoded as protobuf.
func HasProto(obj runtime.Object) bool { _, ok := obj.(marshaler); return ok }

func marshalProto(obj runtime.Object) ([]byte, error) {
	m, ok := obj.(marshaler)
	if !ok {
		return nil, ErrNoProtobuf
	}
	buf := make([]byte, m.Size())
	n, err := m.MarshalToSizedBuffer(buf)
	return buf[len(buf)-n:], err
}

func appendBytes(dst []byte, tag byte, b []byte) []byte {
	dst = append(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func sizeBytes(n int) int {
	size := 2
	for v := n; v >= 0x80; v >>= 7 {
		size++
	}
	return size + n
}

// AppendUnknownHeader appends magic and a runtime.Unknown up to the raw bytes, of which size follow.
// contentEncoding and contentType, which upstream writes empty, must follow them: UnknownTail.
func AppendUnknownHeader(dst []byte, gvk schema.GroupVersionKind, size int) []byte {
	dst = append(dst, magic...)
	apiVersion := gvk.GroupVersion().String()
	dst = append(dst, 0x0a)
	dst = binary.AppendUvarint(dst, uint64(sizeBytes(len(apiVersion))+sizeBytes(len(gvk.Kind))))
	dst = append(dst, 0x0a)
	dst = binary.AppendUvarint(dst, uint64(len(apiVersion)))
	dst = append(dst, apiVersion...)
	dst = append(dst, 0x12)
	dst = binary.AppendUvarint(dst, uint64(len(gvk.Kind)))
	dst = append(dst, gvk.Kind...)
	dst = append(dst, 0x12)
	return binary.AppendUvarint(dst, uint64(size))
}

// UnknownTail ends what AppendUnknownHeader began.
const UnknownTail = "\x1a\x00\x22\x00"

// AppendUnknown appends the envelope with body inside.
func AppendUnknown(dst []byte, gvk schema.GroupVersionKind, body []byte) []byte {
	dst = AppendUnknownHeader(dst, gvk, len(body))
	dst = append(dst, body...)
	return append(dst, UnknownTail...)
}

// IsProto reports whether data is in the envelope.
func IsProto(data []byte) bool { return bytes.HasPrefix(data, magic) }

// OpenProto takes the envelope off.
func OpenProto(data []byte) (schema.GroupVersionKind, []byte, error) {
	if !IsProto(data) {
		return schema.GroupVersionKind{}, nil, errors.New("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
	}
	var u runtime.Unknown
	if err := u.Unmarshal(data[len(magic):]); err != nil {
		return schema.GroupVersionKind{}, nil, err
	}
	return schema.FromAPIVersionAndKind(u.APIVersion, u.Kind), u.Raw, nil
}

// UnmarshalProto fills into from a body.
func UnmarshalProto(body []byte, into runtime.Object) error {
	u, ok := into.(unmarshaler)
	if !ok {
		return fmt.Errorf("decode %T: %w", into, ErrNoProtobuf)
	}
	return u.Unmarshal(body)
}

func appendLen(dst []byte, tag byte, n int) []byte {
	return binary.AppendUvarint(append(dst, tag), uint64(n))
}
