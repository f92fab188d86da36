package codec

import (
	"encoding/binary"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// AppendEvent appends one framed watch event: a line of JSON, or a length-delimited protobuf WatchEvent.
func AppendEvent(dst []byte, f Format, typ string, gvk schema.GroupVersionKind, body []byte) []byte {
	if f == Protobuf {
		return appendProtoEvent(dst, typ, gvk, body)
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typ...)
	dst = append(dst, `","object":`...)
	dst = AppendWithKind(dst, JSON, gvk, body)
	return append(dst, '}', '\n')
}

// appendProtoEvent: 4 bytes big-endian length, then metav1.WatchEvent{1: type, 2: RawExtension{1: envelope}}.
func appendProtoEvent(dst []byte, typ string, gvk schema.GroupVersionKind, body []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendBytes(dst, 0x0a, []byte(typ))
	raw := len(AppendUnknownHeader(nil, gvk, len(body))) + len(body) + len(UnknownTail)
	dst = appendLen(dst, 0x12, sizeBytes(raw))
	dst = appendLen(dst, 0x0a, raw)
	dst = AppendUnknown(dst, gvk, body)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
