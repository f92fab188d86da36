package cli

import (
	"testing"

	"github.com/dhow-project/dhow/internal/engine"
)

func TestInspect(t *testing.T) {
	image := engine.Image{ID: "sha256:ab", Tags: []string{"docker.io/library/web:v1", "ghcr.io/a/b:c"}, Size: 7}
	i, err := inspect(image, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:1"]},
		"config":{"Entrypoint":["/web"],"Cmd":["serve"],"Labels":{"a":"b"},"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"{{.Id}} {{.RepoTags}} {{.Size}}":                       "sha256:ab [web:v1 ghcr.io/a/b:c] 7",
		"{{.Config.Entrypoint}} {{.Os}}/{{ .Architecture }}":    "[/web] linux/amd64",
		"{{json .Config.Labels}} {{json .Config.ExposedPorts}}": `{"a":"b"} {"80/tcp":{}}`,
		"{{.Nothing}}":               "",
		"{{.Id.Nothing}}":            "",
		"{{range .RepoTags}}{{end}}": "",
		"{{.Id":                      "",
	} {
		f, err := parseFormat(text)
		var got string
		if err == nil {
			got, err = f.render(i)
		}
		if (err != nil) != (want == "") || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}
