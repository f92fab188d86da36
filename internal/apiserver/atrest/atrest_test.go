package atrest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/dhow-project/dhow/internal/apiserver/atrest"
)

const secret = "/registry/secrets/default/a"

func ensure(t *testing.T, path string) *atrest.Cipher {
	t.Helper()
	c, err := atrest.Ensure(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSecretsAreUnreadableOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	sealed, err := ensure(t, path).Encode(secret, []byte("rosebud"))
	if err != nil || bytes.Contains(sealed, []byte("rosebud")) {
		t.Fatalf("sealed %q, %v", sealed, err)
	}
	again := ensure(t, path)
	if plain, err := again.Decode(secret, sealed); err != nil || string(plain) != "rosebud" {
		t.Errorf("after a restart: %q, %v", plain, err)
	}
	if _, err := again.Decode(secret+"b", sealed); err == nil {
		t.Error("a value was accepted under another name")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := again.Decode(secret, sealed); err == nil {
		t.Error("a changed value was accepted")
	}
	if _, err := ensure(t, filepath.Join(t.TempDir(), "other")).Decode(secret, sealed); err == nil {
		t.Error("a foreign key was accepted")
	}
}

func TestOthersStayPlain(t *testing.T) {
	c := ensure(t, filepath.Join(t.TempDir(), "key"))
	if v, _ := c.Encode("/registry/configmaps/default/a", []byte("x")); string(v) != "x" {
		t.Errorf("a ConfigMap became %q", v)
	}
	if v, err := c.Decode(secret, []byte("k8s\x00plain")); err != nil || string(v) != "k8s\x00plain" {
		t.Errorf("an adopted plain Secret became %q, %v", v, err)
	}
}

func TestDamagedKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := atrest.Ensure(path); err == nil {
		t.Error("accepted")
	}
}
