package pki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dhow-project/dhow/internal/x/fault"
)

var access = Access{Name: "dhow", Server: "https://127.0.0.1:6443", CA: []byte("ca"), Cert: []byte("cert"), Key: []byte("key")}

const ours = `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: Y2E=
    server: https://127.0.0.1:6443
  name: dhow
contexts:
- context:
    cluster: dhow
    user: dhow
  name: dhow
users:
- user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
  name: dhow
current-context: dhow
`

const theirs = `# my clusters
apiVersion: v1
kind: Config
preferences: {}
current-context: work # do not touch
clusters:
  # the big one
  - name: work
    cluster:
      server: https://work.example.com
      extensions:
        - name: x
          extension: {a: 1}
contexts:
  - name: work
    context: {cluster: work, user: me, namespace: team}
users:
  - name: me
    user:
      exec:
        command: login
`

func TestKubeconfigNew(t *testing.T) {
	got, err := Kubeconfig(access)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(ours, string(got)); d != "" {
		t.Error(d)
	}
}

func TestKubeconfigMergeAndRemove(t *testing.T) {
	t.Run("by hand", func(t *testing.T) { mergeAndRemove(t, theirs) })
	t.Run("by kubectl", func(t *testing.T) {
		mergeAndRemove(t, strings.NewReplacer("dhow", "work", ":6443", ":8443").Replace(ours))
	})
}

func mergeAndRemove(t *testing.T, theirs string) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(theirs), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(path, nil, access); err != nil {
		t.Fatal(err)
	}
	merged, _ := os.ReadFile(path)
	for _, line := range append(strings.Split(theirs, "\n"), "name: dhow", "client-key-data: a2V5") {
		if !strings.Contains(string(merged), line) {
			t.Errorf("line %q is gone from\n%s", line, merged)
		}
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("mode is %v", st.Mode())
	}
	before, _ := os.Stat(path)
	if err := MergeKubeconfig(path, nil, access); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("written again without a change")
	}
	changed := access
	changed.Server = "https://127.0.0.1:7443"
	if err := MergeKubeconfig(path, nil, changed); err != nil {
		t.Fatal(err)
	}
	again, _ := os.ReadFile(path)
	if strings.Count(string(again), "name: dhow") != 3 || !strings.Contains(string(again), ":7443") || strings.Contains(string(again), ":6443") {
		t.Errorf("second merge:\n%s", again)
	}
	if err := RemoveKubeconfig(path, nil, "dhow"); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadFile(path)
	if d := cmp.Diff(theirs, string(left)); d != "" {
		t.Error(d)
	}
}

// A user who had no kubeconfig has none after the cluster is gone.
func TestKubeconfigOfOursAloneGoes(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, ".kube", "config")
	for _, name := range []string{"dhow", "dhow-b"} {
		a := access
		a.Name = name
		if err := MergeKubeconfig(path, nil, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveKubeconfig(path, nil, "dhow"); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), "dhow-b") {
		t.Errorf("the other one is gone: %v\n%s", err, raw)
	}
	if err := RemoveKubeconfig(path, nil, "dhow-b"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(home); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestKubeconfigRemoveCurrent(t *testing.T) {
	out, changed, err := removeKubeconfig([]byte(ours), "dhow")
	if err != nil || !changed || strings.Contains(string(out), "dhow") || !strings.Contains(string(out), `current-context: ""`) {
		t.Errorf("%v, %v\n%s", changed, err, out)
	}
}

func TestKubeconfigStrangeFiles(t *testing.T) {
	for name, text := range map[string]string{"not YAML": "a: [", "not a mapping": "- a\n", "not a list": "clusters: 1\n"} {
		path := filepath.Join(t.TempDir(), "config")
		os.WriteFile(path, []byte(text), 0o600)
		err := MergeKubeconfig(path, nil, access)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadFile(path); string(left) != text {
			t.Errorf("%s: file was changed", name)
		}
	}
	for _, text := range []string{"", "\n", "clusters: null\ncontexts:\nusers: ~\n", `{"apiVersion":"v1","clusters":[]}`} {
		out, _, err := mergeKubeconfig([]byte(text), access)
		if err != nil || !strings.Contains(string(out), "a2V5") {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
	}
}

func TestUserKubeconfig(t *testing.T) {
	env := func(kv map[string]string) func(string) string { return func(k string) string { return kv[k] } }
	path, owner, err := UserKubeconfig(env(map[string]string{"HOME": "/h", "KUBECONFIG": ":/a:/b"}))
	if err != nil || path != "/a" || owner != nil {
		t.Errorf("%s %v %v", path, owner, err)
	}
	path, _, _ = UserKubeconfig(env(map[string]string{"HOME": "/h"}))
	if path != "/h/.kube/config" {
		t.Errorf("got %s", path)
	}
	if os.Geteuid() == 0 {
		path, owner, err = UserKubeconfig(env(map[string]string{"HOME": "/root", "SUDO_USER": "daemon"}))
		if err != nil || owner == nil || owner.UID != 1 || path == "/root/.kube/config" {
			t.Errorf("under sudo: %s %v %v", path, owner, err)
		}
	}
}

func FuzzMergeKubeconfig(f *testing.F) {
	for _, s := range []string{ours, theirs, "", "a: &x [1]\nclusters: *x\n", "users: ~\n", "- 1\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, _, err := mergeKubeconfig([]byte(s), access)
		if err != nil {
			return
		}
		if again, changed, err := mergeKubeconfig(out, access); err != nil || changed {
			t.Errorf("second merge: changed %v, %v\n%s", changed, err, again)
		}
		left, _, err := removeKubeconfig(out, access.Name)
		if err != nil || strings.Contains(string(left), "a2V5\n") && !strings.Contains(s, "a2V5") {
			t.Errorf("removal: %v\n%s", err, left)
		}
	})
}
