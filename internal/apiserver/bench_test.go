package apiserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
)

const podJSON = `{"kind":"Pod","apiVersion":"v1","metadata":{"generateName":"web-","namespace":"default","labels":{"app":"web","tier":"front"}},` +
	`"spec":{"containers":[{"name":"c","image":"registry.local/web:v1","ports":[{"containerPort":80,"protocol":"TCP"}],` +
	`"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}],"nodeSelector":{"x":"y"}}}`

func do(b testing.TB, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= 300 {
		b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w
}

// BenchmarkCreateHandler is the server's part of a create, without a connection.
func BenchmarkCreateHandler(b *testing.B) {
	h := start(b).s.Handler()
	b.ReportAllocs()
	for b.Loop() {
		do(b, h, "POST", "/api/v1/namespaces/default/pods", podJSON)
	}
}

func BenchmarkApplyHandler(b *testing.B) {
	h := start(b).s.Handler()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		r := httptest.NewRequest("PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=m&force=true",
			strings.NewReader(fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"%d","b":"x"}}`, i)))
		r.Header.Set("Content-Type", "application/apply-patch+yaml")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 300 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkUpdateStatus is what controllers and nodes do most, in process.
func BenchmarkUpdateStatus(b *testing.B) {
	f := start(b)
	pods := client.For[*corev1.Pod](f.conn())
	p, err := pods.Create(b.Context(), pod("p", "n"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		p = p.DeepCopy()
		p.Status.Message = fmt.Sprint(i)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, Message: fmt.Sprint(i)}}
		if p, err = pods.UpdateStatus(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate64 is creates by 64 clients over HTTPS (HTTP/2), client's work included.
func BenchmarkCreate64(b *testing.B) {
	f := start(b)
	c := f.web.Client()
	var n atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for n.Add(1) <= int64(b.N) {
				resp, err := c.Post(f.web.URL+"/api/v1/namespaces/default/pods", "application/json", strings.NewReader(podJSON))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

func BenchmarkGetHandler(b *testing.B) {
	h := start(b).s.Handler()
	do(b, h, "POST", "/api/v1/namespaces/default/pods", strings.Replace(podJSON, `"generateName":"web-"`, `"name":"web"`, 1))
	b.ReportAllocs()
	for b.Loop() {
		do(b, h, "GET", "/api/v1/namespaces/default/pods/web", "")
	}
}

// BenchmarkList5000 lists 5,000 pods of about 1 KB over HTTPS.
func BenchmarkList5000(b *testing.B) {
	f := start(b)
	h := f.s.Handler()
	for range 5000 {
		do(b, h, "POST", "/api/v1/namespaces/default/pods", podJSON)
	}
	c := f.web.Client()
	var size int64
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Get(f.web.URL + "/api/v1/pods")
		if err != nil {
			b.Fatal(err)
		}
		size, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	b.SetBytes(size)
}

// BenchmarkWatch1000 is one change seen by 1,000 watchers over HTTPS.
func BenchmarkWatch1000(b *testing.B) {
	f := start(b)
	c := f.web.Client()
	conn := f.conn()
	pods := client.For[*corev1.ConfigMap](conn)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	seen := make(chan struct{}, 1000)
	var wg sync.WaitGroup
	for range 1000 {
		req, _ := http.NewRequestWithContext(ctx, "GET", f.web.URL+"/api/v1/namespaces/default/configmaps?watch=1", nil)
		resp, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer resp.Body.Close()
			buf := make([]byte, 4096)
			for {
				n, err := resp.Body.Read(buf)
				if err != nil {
					return
				}
				for range bytes.Count(buf[:n], []byte("\n")) {
					seen <- struct{}{}
				}
			}
		})
	}
	i := 0
	for b.Loop() {
		i++
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("a", i), Namespace: "default"}, Data: map[string]string{"k": "v"}}
		if _, err := pods.Create(ctx, cm); err != nil {
			b.Fatal(err)
		}
		for range 1000 {
			<-seen
		}
	}
	cancel()
	wg.Wait()
}
