package apparmor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKernel(t *testing.T) {
	root := t.TempDir()
	if enabled(root) || !loaded(root, "a") {
		t.Error("a kernel without AppArmor: want not enabled, and nothing known of profiles")
	}
	for name, text := range map[string]string{
		"sys/module/apparmor/parameters/enabled": "Y\n",
		"sys/kernel/security/apparmor/profiles":  "/usr/sbin/ntpd (enforce)\nmy profile (x) (complain)\n:ns://inner (kill)\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !enabled(root) {
		t.Error("not enabled")
	}
	for name, want := range map[string]bool{"/usr/sbin/ntpd": true, "my profile (x)": true, ":ns://inner": true, "ntpd": false, "my profile": false} {
		if loaded(root, name) != want {
			t.Errorf("%q is loaded: %v", name, !want)
		}
	}
}
