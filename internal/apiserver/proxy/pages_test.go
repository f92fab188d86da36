package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRewritePages(t *testing.T) {
	const prefix = "/api/v1/namespaces/a/pods/b/proxy"
	cases := []struct{ name, in, want string }{
		{"absolute path", `<a href="/x">test</a>`, `<a href="` + prefix + `/x">test</a>`},
		{"folder and query", `<img src='/x/?a=b#c'>`, `<img src="` + prefix + `/x/?a=b#c">`},
		{"own host", `<a href="http://10.1.2.3:80/x">`, `<a href="` + prefix + `/x">`},
		{"other host", `<a href="http://other/x">`, `<a href="http://other/x">`},
		{"relative", `<A  HREF="x">`, `<A  HREF="x">`},
		{"already", `<a href="` + prefix + `/x">`, `<a href="` + prefix + `/x">`},
		{"not a link", "<!doctype html><p title='/x'>/x &amp; <", "<!doctype html><p title='/x'>/x &amp; <"},
		{"cut off", `<p>a<a href="/`, `<p>a<a href="/`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp := &http.Response{
				Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Request: &http.Request{Method: "GET"},
				Body: io.NopCloser(strings.NewReader(c.in)), ContentLength: int64(len(c.in)),
			}
			rewritePages(resp, "10.1.2.3:80", prefix)
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}
