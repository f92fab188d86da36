package cache

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// Entry is one object at one revision, and its encodings, made when first asked for. It is immutable.
type Entry struct {
	Key      string // "namespace/name", or "name"
	Obj      api.Object
	Revision int64
	size     int // as stored, in bytes; 0 when that is not known
	kind     *api.Kind
	hub      [2]atomic.Pointer[[]byte] // by codec.Format
	others   atomic.Pointer[sync.Map]  // of other versions: {version, format} → []byte
}

type variant struct {
	version int
	format  codec.Format
}

// NewEntry makes an entry; obj becomes immutable and gets the revision as its resourceVersion.
func NewEntry(k *api.Kind, key string, obj api.Object, revision int64) *Entry {
	obj.SetResourceVersion(strconv.FormatInt(revision, 10))
	return &Entry{Key: key, Obj: obj, Revision: revision, kind: k}
}

// Body is the object in k.Versions[version], encoded without kind and apiVersion (JSON or protobuf).
func (e *Entry) Body(k *api.Kind, version int, f codec.Format) ([]byte, error) {
	if k.Custom != nil {
		return e.customBody(k.Versions[version], f)
	}
	if version == 0 {
		return e.hubBody(f)
	}
	m := e.memo()
	if b, ok := m.Load(variant{version, f}); ok {
		return b.([]byte), nil
	}
	obj, err := codec.InVersion(e.kind.Versions[version], e.Obj)
	if err != nil {
		return nil, err
	}
	b, err := codec.Body(f, obj)
	if err == nil {
		m.Store(variant{version, f}, b)
	}
	return b, err
}

func (e *Entry) hubBody(f codec.Format) ([]byte, error) {
	if b := e.hub[f].Load(); b != nil {
		return *b, nil
	}
	b, err := codec.Body(f, e.Obj)
	if err == nil {
		e.hub[f].Store(&b)
	}
	return b, err
}

func (e *Entry) memo() *sync.Map {
	m := e.others.Load()
	if m == nil {
		e.others.CompareAndSwap(nil, new(sync.Map))
		if m = e.others.Load(); m == nil { // released that moment
			m = new(sync.Map)
		}
	}
	return m
}

// release lets go of the encodings of an entry that is history: few will ask for them again.
func (e *Entry) release() {
	e.hub[0].Store(nil)
	e.hub[1].Store(nil)
	e.others.Store(nil)
}

// At is the same object with another revision, as deletions show it.
func (e *Entry) At(revision int64) *Entry {
	return NewEntry(e.kind, e.Key, codec.Shallow(e.Obj), revision)
}
