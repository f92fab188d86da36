package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestReadSaysWhereAndWhat(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\ncolour: blue\n":                        ":2: unknown key colour: use name, dataDir, listen,",
		"registries:\n  mirror: {}\n":                    ":2: unknown key registries.mirror: use mirrors, insecure, ca",
		"name: a\nname: b\n":                             ":2: name is there twice",
		"listen: nonsense\n":                             ":1: listen address \"nonsense\": use ADDRESS:PORT",
		"listen: 127.0.0.1:99999\n":                      ":1: listen address \"127.0.0.1:99999\"",
		"name: a\n\n# why\npodCIDR: 10.0.0.0/30\n":       ":4: network \"10.0.0.0/30\": use an IPv4 prefix",
		"maxPods: many\n":                                ":1: maxPods \"many\": use a whole number",
		"maxPods: -1\n":                                  ":1: -1 pods at most",
		"logLevel: loud\n":                               ":1: log level \"loud\": use debug, info, warn or error",
		"name: 7\n":                                      ":1: name is text: put it in quotes",
		"registries:\n  insecure: host:5000\n":           ":2: registries.insecure is a list",
		"registries:\n  mirrors:\n    docker.io: here\n": ":3: registries.mirrors.docker.io is a list",
		"registries: all\n":                              ":1: registries has lines with KEY: VALUE below it",
		"just a sentence\n":                              ":1: a config has lines with KEY: VALUE",
		"name: a\n\tlisten: b\n":                         ": yaml: line 2",
		"name: [\n":                                      ": yaml: line",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.HasPrefix(err.Error(), "config "+path+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestReadWhatMarshalWrites(t *testing.T) {
	c := Config{
		Name: "a", DataDir: "/d", Listen: "127.0.0.1:1", PodCIDR: "10.1.0.0/16", ServiceCIDR: "10.2.0.0/16", NodeName: "n", MaxPods: 3,
		Registries: Registries{Mirrors: map[string][]string{"docker.io": {"m:1"}}, Insecure: []string{"i:1"}, CA: map[string]string{"c": "/f"}},
		Registry:   "127.0.0.1:2", LogLevel: "warn",
	}
	raw, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(raw), "# nothing\n", "", "---\n"} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := c
		if text != string(raw) {
			want = Config{}
		}
		if got, err := Read(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("name: a\nregistries: {mirrors: {docker.io: [a]}}\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c Config
		if _, err := c.parse(raw); err != nil {
			return
		}
		if _, err := c.check(); err != nil {
			t.Errorf("%q was read: %v", raw, err)
		}
	})
}
