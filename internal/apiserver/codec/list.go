package codec

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// List frames pre-encoded items as one list object of kind gvk (the list's), as pieces to be written in order.
// The pieces share memory with items.
func List(f Format, gvk schema.GroupVersionKind, meta metav1.ListMeta, items [][]byte) ([][]byte, error) {
	if f == Protobuf {
		return protoList(gvk, meta, items)
	}
	m, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	head := Prefix(JSON, gvk)
	head = append(append(head, `,"metadata":`...), m...)
	head = append(head, `,"items":[`...)
	out := make([][]byte, 0, 2*len(items)+2)
	out = append(out, head)
	for i, b := range items {
		if i > 0 {
			out = append(out, comma)
		}
		out = append(out, b)
	}
	return append(out, jsonListEnd), nil
}

var comma, jsonListEnd = []byte{','}, []byte("]}\n")

// protoList relies on every list of Kubernetes having metadata as field 1 and items as field 2.
func protoList(gvk schema.GroupVersionKind, meta metav1.ListMeta, items [][]byte) ([][]byte, error) {
	m, err := meta.Marshal()
	if err != nil {
		return nil, err
	}
	size := sizeBytes(len(m))
	for _, b := range items {
		size += sizeBytes(len(b))
	}
	head := AppendUnknownHeader(nil, gvk, size)
	head = appendBytes(head, 0x0a, m)
	out := make([][]byte, 0, 2*len(items)+2)
	out = append(out, head)
	frames := make([]byte, 0, 6*len(items)) // never grows past its capacity: 1 tag and ≤ 5 length bytes each
	for _, b := range items {
		start := len(frames)
		frames = appendLen(frames, 0x12, len(b))
		out = append(out, frames[start:len(frames):len(frames)], b)
	}
	return append(out, []byte(UnknownTail)), nil
}
