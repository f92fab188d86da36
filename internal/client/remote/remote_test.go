package remote

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
)

// server speaks just enough of the API over a fake for the suite.
type server struct {
	*clienttest.Fake
	proto bool
}

func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[2:] // api/v1
	ns, name, sub := "", "", ""
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" {
		ns, parts = parts[1], parts[2:]
	}
	var k *api.Kind
	for _, have := range s.Registry().Kinds() {
		if have.Resource == parts[0] {
			k = have
		}
	}
	if len(parts) > 1 {
		name = parts[1]
	}
	if len(parts) > 2 {
		sub = parts[2]
	}
	body, _ := io.ReadAll(r.Body)
	in := k.Hub().New()
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if _, err := decode(r.Header.Get("Content-Type"), body, in); err != nil {
			panic(err)
		}
	}
	var d metav1.DeleteOptions
	if r.Method == http.MethodDelete {
		if err := json.Unmarshal(body, &d); err != nil {
			panic(err)
		}
	}
	q, ctx := r.URL.Query(), r.Context()
	o := metav1.ListOptions{LabelSelector: q.Get("labelSelector"), FieldSelector: q.Get("fieldSelector"), ResourceVersion: q.Get("resourceVersion")}
	var out runtime.Object
	var err error
	switch {
	case q.Get("watch") == "true":
		if v, e := strconv.ParseBool(q.Get("sendInitialEvents")); e == nil {
			o.SendInitialEvents = &v
		}
		s.watch(w, r, k, ns, o)
		return
	case r.Method == http.MethodGet && name == "":
		var l client.List
		l, err = s.List(ctx, k, ns, o)
		out = k.Hub().NewList()
		var items []runtime.Object
		for _, i := range l.Items {
			items = append(items, i)
		}
		if e := meta.SetList(out, items); e != nil {
			panic(e)
		}
		m, _ := meta.ListAccessor(out)
		m.SetResourceVersion(l.ResourceVersion)
	case r.Method == http.MethodGet:
		out, err = s.Get(ctx, k, ns, name, metav1.GetOptions{})
	case r.Method == http.MethodPost:
		out, err = s.Create(ctx, k, in, metav1.CreateOptions{})
	case r.Method == http.MethodPut:
		out, err = s.Update(ctx, k, in, sub, metav1.UpdateOptions{})
	case r.Method == http.MethodPatch:
		out, err = s.Patch(ctx, k, ns, name, sub, types.PatchType(r.Header.Get("Content-Type")), body, metav1.PatchOptions{})
	case name == "":
		out, err = &metav1.Status{Status: metav1.StatusSuccess}, s.DeleteCollection(ctx, k, ns, d, o)
	default:
		out, err = &metav1.Status{Status: metav1.StatusSuccess}, s.Delete(ctx, k, ns, name, d)
	}
	s.answer(w, k, out, err)
}

func (s server) document(k *api.Kind, o runtime.Object) (string, []byte) {
	kind, v := k.Kind, k.Hub()
	if st, ok := o.(*metav1.Status); ok {
		kind, v = "Status", api.Version{Version: "v1"}
		st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	} else if _, ok := o.(api.Object); !ok {
		kind += "List"
	}
	if s.proto {
		t, b, err := encode(v, kind, o)
		if err != nil {
			panic(err)
		}
		return t, b
	}
	o = o.DeepCopyObject()
	o.GetObjectKind().SetGroupVersionKind(v.GroupVersion().WithKind(kind))
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return jsonType, b
}

func (s server) answer(w http.ResponseWriter, k *api.Kind, o runtime.Object, err error) {
	code := 200
	if err != nil {
		st := apierrors.APIStatus(nil)
		st, _ = err.(apierrors.APIStatus)
		status := st.Status()
		o, code = &status, int(status.Code)
	}
	t, b := s.document(k, o)
	w.Header().Set("Content-Type", t)
	w.WriteHeader(code)
	w.Write(b)
}

func (s server) watch(w http.ResponseWriter, r *http.Request, k *api.Kind, ns string, o metav1.ListOptions) {
	events, err := s.Watch(r.Context(), k, ns, o)
	if err != nil {
		s.answer(w, k, nil, err)
		return
	}
	defer events.Close()
	w.Header().Set("Content-Type", jsonType)
	if s.proto {
		w.Header().Set("Content-Type", protobuf+";stream=watch")
	}
	w.(http.Flusher).Flush()
	for {
		all, err := events.Next()
		if err != nil {
			return
		}
		for _, e := range all {
			_, doc := s.document(k, e.Object)
			we := metav1.WatchEvent{Type: e.Type, Object: runtime.RawExtension{Raw: doc}}
			if !s.proto {
				json.NewEncoder(w).Encode(we)
				continue
			}
			b, err := we.Marshal()
			if err != nil {
				panic(err)
			}
			w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
		}
		w.(http.Flusher).Flush()
	}
}

func TestRemote(t *testing.T) {
	for name, proto := range map[string]bool{"protobuf": true, "json": false} {
		t.Run(name, func(t *testing.T) {
			clienttest.Test(t, func(t *testing.T) client.Conn {
				h := httptest.NewUnstartedServer(server{clienttest.NewFake(clienttest.Registry()), proto})
				h.EnableHTTP2 = true
				h.StartTLS()
				c, err := New(h.Config.Handler.(server).Registry(), Config{Server: h.URL, Insecure: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { h.CloseClientConnections(); c.Close(); h.Close() })
				return c
			})
		})
	}
}
