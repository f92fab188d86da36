package image

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The registry of Debian's docker-registry package, a real one by other people.
func TestDockerRegistry(t *testing.T) {
	bin, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("needs docker-registry: apt-get install docker-registry")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: '%s'}\n", dir, addr)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "serve", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	awaitTCP(t, addr)

	s := open4test(t)
	img := loadTestImage(t, s, addr+"/app:v1")
	if err := s.Push(ctx, addr+"/app:v1", nil, nil); err != nil {
		t.Fatal(err)
	}
	other := open4test(t)
	got, err := other.Pull(ctx, addr+"/app:v1", nil, PullOptions{})
	if err != nil || got.ID != img.ID {
		t.Fatal(got, err)
	}
	if _, err := other.Pull(ctx, got.RepoDigests[0], nil, PullOptions{}); err != nil {
		t.Error("by digest:", err)
	}
}

func awaitTCP(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // another process: there is no event to wait for
	}
}

func loadTestImage(t *testing.T, s *Store, ref string) Image {
	t.Helper()
	r, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tarball.Write(r, testImage(t), f); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	imgs, err := s.Load(context.Background(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return imgs[0]
}

// authServer guards a registry with basic or, behind a token server, bearer authentication.
func authServer(t *testing.T, bearer bool) string {
	inner := registry.New(registry.Logger(quiet()))
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, basic := r.BasicAuth()
		good := basic && user == "ann" && pass == "secret"
		switch {
		case bearer && r.URL.Path == "/token":
			if !good {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "t0ken"})
		case bearer && r.Header.Get("Authorization") == "Bearer t0ken", !bearer && good:
			inner.ServeHTTP(w, r)
		case bearer:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+srv.URL+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestAuth(t *testing.T) {
	ctx := context.Background()
	for _, bearer := range []bool{false, true} {
		t.Run(fmt.Sprint("bearer=", bearer), func(t *testing.T) {
			host := authServer(t, bearer)
			good, bad := Auth{Username: "ann", Password: "secret"}, Auth{Username: "ann", Password: "guess"}
			s := open4test(t)
			loadTestImage(t, s, host+"/app:v1")
			if err := s.Push(ctx, host+"/app:v1", []Auth{bad}, nil); !fault.Is(err, fault.Denied) {
				t.Errorf("push with a wrong password: %v", err)
			}
			if err := s.Push(ctx, host+"/app:v1", []Auth{bad, good}, nil); err != nil {
				t.Error(err)
			}
			if _, err := s.Pull(ctx, host+"/app:v1", nil, PullOptions{}); !fault.Is(err, fault.Denied) {
				t.Errorf("anonymous pull: %v", err)
			}
			if _, err := s.Pull(ctx, host+"/app:v1", []Auth{bad, good}, PullOptions{}); err != nil {
				t.Error(err)
			}
			if err := s.Remote().Check(ctx, host, bad); !fault.Is(err, fault.Denied) {
				t.Errorf("check a wrong password: %v", err)
			}
			if err := s.Remote().Check(ctx, host, good); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMirror(t *testing.T) {
	mirror := memRegistry(t)
	ref, err := name.ParseReference(mirror + "/library/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, testImage(t)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	s, err := Open(t.TempDir(), Options{Registries: Registries{Mirrors: map[string][]string{"docker.io": {"http://127.0.0.1:1", "http://" + mirror}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	img, err := s.Pull(context.Background(), "app:v1", nil, PullOptions{})
	if err != nil || len(img.Tags) != 1 || img.Tags[0] != "docker.io/library/app:v1" {
		t.Fatal(img, err)
	}
}
