package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/dhow-project/dhow/internal/x/fault"
)

func open4test(t testing.TB) *Store {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: layers keep owners")
	}
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// tarOf makes a layer's tar of "name=content" lines; a name that ends in "/" is a directory.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		n, data, _ := strings.Cut(f, "=")
		h := &tar.Header{Name: n, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(n, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testImage has a gzip layer and a zstd layer.
func testImage(t testing.TB) v1.Image {
	t.Helper()
	base, err := tarball.LayerFromReader(bytes.NewReader(tarOf(t, "etc/", "etc/os=base", "gone=x")))
	if err != nil {
		t.Fatal(err)
	}
	plain := tarOf(t, "app=hello", ".wh.gone=", "etc/.wh..wh..opq=", "etc/new=1")
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	z := zstdLayer{static.NewLayer(enc.EncodeAll(plain, nil), types.OCILayerZStd), plain}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), base, z)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.Config(img, v1.Config{Cmd: []string{"/app"}, Env: []string{"A=1"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

type zstdLayer struct {
	v1.Layer
	plain []byte
}

func (z zstdLayer) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(z.plain))
	return h, err
}

func memRegistry(t testing.TB) string {
	srv := httptest.NewServer(registry.New(registry.Logger(quiet())))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestPull(t *testing.T) {
	host := memRegistry(t)
	ref, err := name.ParseReference(host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	want := testImage(t)
	if err := remote.Write(ref, want); err != nil {
		t.Fatal(err)
	}
	s := open4test(t)
	img, err := s.Pull(context.Background(), ref.String(), nil, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := want.ConfigName()
	if img.ID.String() != id.String() || len(img.RepoDigests) != 1 || img.Config.Config.Env[0] != "A=1" {
		t.Errorf("%+v", img)
	}
	dirs, err := s.LayerDirs(ref.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) != 2 {
		t.Fatal(dirs)
	}
	if b, err := os.ReadFile(filepath.Join(dirs[0], "app")); string(b) != "hello" {
		t.Error(string(b), err)
	}
	if fi, err := os.Lstat(filepath.Join(dirs[0], "gone")); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		t.Error("no whiteout", fi, err)
	}
	var seen []string
	if _, err := s.Pull(context.Background(), ref.String(), nil, PullOptions{Progress: func(p Progress) { seen = append(seen, p.Status) }}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{Downloading, Downloading, Present, Present}, seen); diff != "" {
		t.Error("second pull", diff)
	}
	if _, err := s.Pull(context.Background(), host+"/team/none", nil, PullOptions{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing image: %v", err)
	}
	lookups(t, s, img)
}

func lookups(t *testing.T, s *Store, img Image) {
	if err := s.Tag(img.ID.Encoded()[:12], "localhost/other"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range append([]string{string(img.ID), img.ID.Encoded(), img.ID.Encoded()[:5], "localhost/other:latest"}, img.RepoDigests...) {
		if got, err := s.Get(ref); err != nil || got.ID != img.ID {
			t.Errorf("get %s: %v", ref, err)
		}
	}
	if _, err := s.Get("nginx"); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing image: %v", err)
	}
	if err := s.Acquire(string(img.ID), "container"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(string(img.ID), false); !fault.Is(err, fault.Conflict) {
		t.Errorf("remove image with two names: %v", err)
	}
	if r, err := s.Remove(string(img.ID), true); err != nil || len(r.Deleted) != 1 || r.Bytes > 4096 {
		t.Errorf("remove used image: %+v %v", r, err)
	}
	s.Release("container")
	if r, err := s.Prune(context.Background(), false); err != nil || r.Bytes == 0 {
		t.Errorf("prune: %+v %v", r, err)
	}
	if u, err := s.Usage(); err != nil || u.Bytes != 0 {
		t.Errorf("left behind: %+v %v", u, err)
	}
}

func TestPullRefusesWrongDiffID(t *testing.T) {
	host := memRegistry(t)
	ref, _ := name.ParseReference(host + "/app:evil")
	img := testImage(t)
	cfg, _ := img.ConfigFile()
	cfg.RootFS.DiffIDs[0] = cfg.RootFS.DiffIDs[1]
	evil, err := mutate.ConfigFile(img, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, evil); err != nil {
		t.Fatal(err)
	}
	s := open4test(t)
	for range 2 { // the second time the blob is there
		if _, err := s.Pull(context.Background(), ref.String(), nil, PullOptions{}); !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	}
}

func TestSaveLoadPush(t *testing.T) {
	ctx := context.Background()
	host := memRegistry(t)
	s := open4test(t)
	tmp, err := s.TempDir("test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tmp, "fs/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "fs/dir/file"), bytes.Repeat([]byte("x"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := s.Commit(ctx, Image{}, tmp, func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", "amd64" })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(string(built.ID), host+"/built:v1"); err != nil {
		t.Fatal(err)
	}
	var tarball bytes.Buffer
	if err := s.Save(ctx, &tarball, host+"/built:v1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Push(ctx, host+"/built:v1", nil, nil); err != nil {
		t.Fatal(err)
	}
	other := open4test(t)
	loaded, err := other.Load(ctx, &tarball, nil)
	if err != nil || len(loaded) != 1 || loaded[0].ID != built.ID || fmt.Sprint(loaded[0].Tags) != "["+host+"/built:v1]" {
		t.Fatal(loaded, err)
	}
	third := open4test(t)
	pulled, err := third.Pull(ctx, host+"/built:v1", nil, PullOptions{})
	if err != nil || pulled.ID != built.ID {
		t.Fatal(pulled, err)
	}
	// Again from the pusher's own store: now with a blob that it knows.
	if again, err := s.Pull(ctx, host+"/built:v1", nil, PullOptions{}); err != nil || again.ID != built.ID {
		t.Fatal(again, err)
	}
}

func TestReopen(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("opened twice: %v", err)
	}
	var buf bytes.Buffer
	ref, _ := name.NewTag("localhost/app:v1")
	if err := tarball.Write(ref, testImage(t), &buf); err != nil {
		t.Fatal(err)
	}
	imgs, err := s.Load(context.Background(), &buf, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.layerDir(imgs[0].Layers[0])); err != nil {
		t.Fatal(err)
	}
	for _, junk := range []string{"tmp/layer-1/fs/a", "layers/" + strings.Repeat("0", 64) + "/fs"} {
		if err := os.MkdirAll(filepath.Join(dir, junk), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dirs, err := s.LayerDirs("localhost/app:v1")
	if err != nil || len(dirs) != 2 {
		t.Fatal(dirs, err)
	}
	if b, err := os.ReadFile(filepath.Join(dirs[1], "etc/os")); string(b) != "base" {
		t.Error("lost layer did not come back", err)
	}
	if l, _ := os.ReadDir(filepath.Join(dir, "layers")); len(l) != 2 {
		t.Error("junk stays", l)
	}
}

// bigImage has four layers of 32 MiB.
func bigImage(t testing.TB) v1.Image {
	img := v1.Image(empty.Image)
	for i := range 4 {
		l, err := tarball.LayerFromReader(bytes.NewReader(tarOf(t, fmt.Sprintf("f%d=%s", i, bytes.ReplaceAll(noise(32<<20, uint32(i)), []byte("="), nil)))))
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, l); err != nil {
			t.Fatal(err)
		}
	}
	return img
}
