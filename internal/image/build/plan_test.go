package build

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// Each testdata/<name>.dockerfile becomes <name>.golden: the stages, and the steps and config of the needed ones. Bases
// from a registry have a config with ENV, CMD and ONBUILD to inherit.
func TestPlanGolden(t *testing.T) {
	all, err := filepath.Glob("testdata/*.dockerfile")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, f := range all {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := describe(t, data)
			golden := strings.TrimSuffix(f, ".dockerfile") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func describe(t *testing.T, data []byte) string {
	in := input{file: "Dockerfile", data: data, args: map[string]string{"GIVEN": "from the command line", "HTTP_PROXY": "http://proxy"},
		platform: image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, buildPlatform: image.Platform{OS: "linux", Architecture: "amd64"}}
	p, err := newPlan(in)
	if err != nil {
		return fmt.Sprintln("error:", err)
	}
	var b strings.Builder
	b.WriteString(p.String())
	done := map[int]*v1.ConfigFile{}
	for _, s := range p.Stages {
		if !s.Needed {
			continue
		}
		base := &v1.ConfigFile{OS: "linux", Architecture: "arm64", Config: v1.Config{Env: []string{"PATH=/bin", "BASE=1"}, Cmd: []string{"base-cmd"}}}
		switch {
		case s.Base.Scratch:
			base = nil
		case s.Base.Stage >= 0:
			base = done[s.Base.Stage]
		case s.Base.Image == "onbuild":
			base.Config.OnBuild = []string{"COPY . /app", "RUN build $GIVEN"}
		}
		steps, cfg, err := p.expand(&in, s, base)
		if err != nil {
			fmt.Fprintln(&b, "error:", err)
			continue
		}
		done[s.Index] = cfg
		fmt.Fprintf(&b, "\nstage %d\n", s.Index)
		for _, st := range steps {
			fmt.Fprintf(&b, "%3d %s\n", st.Line, strings.ReplaceAll(st.Text, "\n", "⏎"))
			for _, v := range []any{st.Run, st.Copy, st.Workdir} {
				if j, _ := json.Marshal(v); string(j) != "null" && string(j) != `""` {
					fmt.Fprintf(&b, "      %s\n", j)
				}
			}
		}
		j, _ := json.MarshalIndent(cfg.Config, "", "  ")
		fmt.Fprintf(&b, "config %s\n", j)
	}
	return b.String()
}
