package image

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// skopeo reads what Save writes, as a docker archive and as an OCI layout, and Load reads what skopeo writes.
func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("needs skopeo: apt-get install skopeo")
	}
	ctx := context.Background()
	s := open4test(t)
	img := loadTestImage(t, s, "localhost/app:v1")
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved.tar")
	f, err := os.Create(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(ctx, f, "localhost/app:v1"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, kind := range []string{"docker-archive", "oci-archive"} {
		out, err := exec.Command("skopeo", "inspect", "--config", "--raw", kind+":"+saved).CombinedOutput()
		var cfg struct {
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		if err != nil || json.Unmarshal(out, &cfg) != nil || len(cfg.RootFS.DiffIDs) != 2 {
			t.Errorf("%s: %v %s", kind, err, out)
		}
		made := filepath.Join(dir, kind+".tar")
		if out, err := exec.Command("skopeo", "copy", "--insecure-policy", kind+":"+saved, kind+":"+made+":localhost/again:v2").CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", kind, err, out)
		}
		r, err := os.Open(made)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		other := open4test(t)
		got, err := other.Load(ctx, r, nil)
		if err != nil || len(got) != 1 || got[0].Layers[1] != img.Layers[1] {
			t.Errorf("%s: %+v %v", kind, got, err)
		}
		if _, err := other.Get("localhost/again:v2"); err != nil {
			t.Error(kind, err)
		}
	}
}
