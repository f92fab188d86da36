package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
)

func serve(t *testing.T, o Options) (*image.Store, string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: layers keep owners")
	}
	s, err := image.Open(t.TempDir(), image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(Handler(s, o))
	t.Cleanup(func() {
		srv.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimPrefix(srv.URL, "http://")
}

func parse(t *testing.T, s string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPushedImageRuns(t *testing.T) {
	s, host := serve(t, Options{})
	want, err := random.Image(4096, 3)
	if err != nil {
		t.Fatal(err)
	}
	ref := parse(t, host+"/team/app:v1")
	if err := remote.Write(ref, want); err != nil {
		t.Fatal(err)
	}
	if dirs, err := s.LayerDirs(ref.String()); err != nil || len(dirs) != 3 {
		t.Fatal(dirs, err)
	}
	got, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	tags, err := remote.List(ref.Context())
	if err != nil || !slices.Equal(tags, []string{"v1"}) {
		t.Error(tags, err)
	}
	repos, err := remote.Catalog(context.Background(), ref.Context().Registry)
	if err != nil || !slices.Equal(repos, []string{"team/app"}) {
		t.Error(repos, err)
	}
	d, _ := want.Digest()
	if err := remote.Delete(ref.Context().Digest(d.String())); err != nil {
		t.Error(err)
	}
	if _, err := remote.Get(ref); err == nil {
		t.Error("still there after delete")
	}
}

func TestBuiltImageIsPullable(t *testing.T) {
	s, host := serve(t, Options{})
	tmp, err := s.TempDir("test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tmp, "fs/a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "fs/a/b"), bytes.Repeat([]byte("y"), 300_000), 0o644); err != nil {
		t.Fatal(err)
	}
	img, err := s.Commit(context.Background(), image.Image{}, tmp, func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", "amd64" })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(string(img.ID), "web:v1"); err != nil {
		t.Fatal(err)
	}
	other, _ := serve(t, Options{})
	got, err := other.Pull(context.Background(), host+"/library/web:v1", nil, image.PullOptions{})
	if err != nil || got.ID != img.ID {
		t.Fatal(got, err)
	}
}

func TestIndexAndReferrers(t *testing.T) {
	s, host := serve(t, Options{Name: "registry.test"})
	img, err := random.Image(512, 1)
	if err != nil {
		t.Fatal(err)
	}
	var idx v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	ref := parse(t, host+"/multi:v1")
	if err := remote.WriteIndex(ref, idx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LayerDirs("registry.test/multi:v1"); err != nil {
		t.Error("index does not run:", err)
	}
	desc, err := remote.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	typed := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/x.sig")
	art := mutate.Subject(typed, desc.Descriptor).(v1.Image)
	d, err := art.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref.Context().Digest(d.String()), art); err != nil {
		t.Fatal(err)
	}
	refs, err := remote.Referrers(ref.Context().Digest(desc.Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := refs.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].Digest != d || m.Manifests[0].ArtifactType != "application/x.sig" {
		t.Errorf("%+v %v", m, err)
	}
}

func TestUploads(t *testing.T) {
	_, host := serve(t, Options{})
	data := []byte("hello, registry")
	d := digest.FromBytes(data).String()
	do := func(method, path, body string, header ...string) *http.Response {
		t.Helper()
		if strings.HasPrefix(path, "/") {
			path = "http://" + host + path
		}
		req, err := http.NewRequest(method, path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	expect := func(res *http.Response, status int) *http.Response {
		t.Helper()
		if res.StatusCode != status {
			b, _ := io.ReadAll(res.Body)
			t.Fatalf("%s %s: %s %s, want %d", res.Request.Method, res.Request.URL, res.Status, b, status)
		}
		return res
	}
	// chunked
	loc := expect(do("POST", "/v2/a/b/blobs/uploads/", ""), 202).Header.Get("Location")
	expect(do("PATCH", loc, string(data[:5]), "Content-Range", "0-4"), 202)
	if r := expect(do("PATCH", loc, "x", "Content-Range", "9-9"), 416).Header.Get("Range"); r != "0-4" {
		t.Error("range", r)
	}
	expect(do("GET", loc, ""), 204)
	expect(do("PATCH", loc, string(data[5:]), "Content-Range", fmt.Sprintf("5-%d", len(data)-1)), 202)
	expect(do("PUT", loc+"?digest="+d, ""), 201)
	expect(do("HEAD", "/v2/a/b/blobs/"+d, ""), 200)
	b, _ := io.ReadAll(expect(do("GET", "/v2/a/b/blobs/"+d, "", "Range", "bytes=7-14"), 206).Body)
	if string(b) != "registry" {
		t.Errorf("range gave %q", b)
	}
	// monolithic, mount, wrong digest, cancel
	expect(do("POST", "/v2/c/blobs/uploads/?digest="+d, string(data)), 201)
	expect(do("POST", "/v2/d/blobs/uploads/?mount="+d+"&from=c", ""), 201)
	expect(do("POST", "/v2/d/blobs/uploads/?digest="+d, "other"), 400)
	loc = expect(do("POST", "/v2/c/blobs/uploads/", ""), 202).Header.Get("Location")
	expect(do("DELETE", loc, ""), 204)
	expect(do("PUT", loc+"?digest="+d, string(data)), 404)
	expect(do("PUT", "/v2/c/manifests/v1", "{", "Content-Type", string(types.OCIManifestSchema1)), 400)
	expect(do("GET", "/v2/c/manifests/none", ""), 404)
	expect(do("GET", "/v2/C/manifests/none", ""), 400)
	expect(do("GET", "/v2/", ""), 200)
}
