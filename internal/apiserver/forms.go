package apiserver

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/table"
)

func metaKind(o output, kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "meta.k8s.io", Version: o.version, Kind: kind}
}

// partial is the object's metadata alone.
func partial(c *call, e *cache.Entry) (*metav1.PartialObjectMetadata, error) {
	obj, err := e.In(c.ver())
	if err != nil {
		return nil, err
	}
	return meta.AsPartialObjectMetadata(obj), nil
}

// table is the printed form of entries.
func (s *Server) table(c *call, o output, entries []*cache.Entry, columns bool) (*metav1.Table, error) {
	objs := make([]api.Object, len(entries))
	for i, e := range entries {
		objs[i] = e.Obj
		if c.kind.Custom != nil {
			var err error
			if objs[i], err = e.In(c.ver()); err != nil {
				return nil, err
			}
		}
	}
	t := &metav1.Table{Rows: make([]metav1.TableRow, 0, len(objs))}
	if columns {
		t.ColumnDefinitions = table.Columns(c.kind, c.version)
	}
	full := func(obj api.Object) ([]byte, error) { return s.encodeHub(c, obj) }
	now := s.Now()
	for _, obj := range objs {
		row, err := table.Row(c.kind, c.version, obj, now, o.include, o.version, full)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func notAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "object does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message",
	}}
}

func (st *watchStream) render(d delivery, e *cache.Entry) (schema.GroupVersionKind, runtime.Object, []byte, error) {
	if st.o.as != "Table" {
		return st.s.render(st.c, st.o, e)
	}
	t := &metav1.Table{}
	if d.entry != nil {
		var err error
		if t, err = st.s.table(st.c, st.o, []*cache.Entry{e}, st.columns); err != nil {
			return schema.GroupVersionKind{}, nil, nil, err
		}
		st.columns = false
	}
	t.ResourceVersion = e.Obj.GetResourceVersion()
	return metaKind(st.o, "Table"), t, nil, nil
}

// encodeHub is the whole object in the version of the call, as JSON.
func (s *Server) encodeHub(c *call, obj api.Object) ([]byte, error) {
	v, err := codec.InVersion(c.ver(), obj)
	if err != nil {
		return nil, err
	}
	return codec.Object(codec.JSON, c.gvk(), v)
}
