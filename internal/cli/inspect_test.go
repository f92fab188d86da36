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
	for format, want := range map[string]string{
		`{{.Id}} {{.RepoTags}} {{.Size}}`:                                             "sha256:ab [web:v1 ghcr.io/a/b:c] 7",
		`{{.ID}} {{join .RepoTags ","}}`:                                              "sha256:ab web:v1,ghcr.io/a/b:c",
		`{{.Config.Entrypoint}} {{index .RootFS.Layers 0}} {{.Os}}/{{.Architecture}}`: "[/web] sha256:1 linux/amd64",
		`{{json .Config.Labels}} {{json .Config.ExposedPorts}}`:                       `{"a":"b"} {"80/tcp":{}}`,
		`{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}}`:                      "a=b",
		`{{.Nothing}}`: "",
	} {
		show, err := inspectFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := render(show, i); (err != nil) != (want == "") || got != want {
			t.Errorf("%s: %q, %v; want %q", format, got, err, want)
		}
	}
	if _, err := inspectFormat("{{.Id"); err == nil {
		t.Error("a broken template is taken")
	}
}
