package auth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/image/remote"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-cmp/cmp"
)

func TestLogin(t *testing.T) {
	ctx := context.Background()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "ann" || p != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(`{"auths":{"other:1":{"auth":"YTpi"}},"detachKeys":"ctrl-x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c := remote.New(remote.Registries{})
	defer c.Close()
	if err := Login(ctx, c, host, "ann", "guess"); !fault.Is(err, fault.Denied) {
		t.Errorf("wrong password: %v", err)
	}
	if err := Login(ctx, c, host, "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	got, err := For(ctx, host)
	if diff := cmp.Diff([]remote.Auth{{Username: "ann", Password: "secret", Server: host}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	var conf struct {
		Auths      map[string]any
		DetachKeys string
	}
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &conf) != nil || len(conf.Auths) != 2 || conf.DetachKeys != "ctrl-x" {
		t.Errorf("config.json is %s %v", b, err)
	}
	if err := Logout(host); err != nil {
		t.Error(err)
	}
	if err := Logout(host); !fault.Is(err, fault.NotFound) {
		t.Errorf("second logout: %v", err)
	}
	if got, err := For(ctx, host); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
}

// A helper named for one registry is asked for its credentials.
func TestCredentialHelper(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	helper := "#!/bin/sh\nread host\necho '{\"ServerURL\":\"'$host'\",\"Username\":\"h\",\"Secret\":\"s\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-dhowtest"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credHelpers":{"reg.example":"dhowtest"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := For(context.Background(), "reg.example")
	if err != nil || len(got) != 1 || got[0].Username != "h" || got[0].Password != "s" {
		t.Error(got, err)
	}
}
