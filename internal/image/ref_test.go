package image

import (
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/x/fault"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseRef(t *testing.T) {
	for in, want := range map[string]string{
		"nginx":                           "docker.io/library/nginx:latest",
		"nginx:1.27":                      "docker.io/library/nginx:1.27",
		"team/app":                        "docker.io/team/app:latest",
		"docker.io/nginx":                 "docker.io/library/nginx:latest",
		"index.docker.io/team/app:x":      "docker.io/team/app:x",
		"localhost/app":                   "localhost/app:latest",
		"localhost:5000/a/b__c/d.e-f:V_1": "localhost:5000/a/b__c/d.e-f:V_1",
		"REG/app":                         "REG/app:latest",
		"[::1]:5000/app":                  "[::1]:5000/app:latest",
		"nginx@" + someDigest:             "docker.io/library/nginx@" + someDigest,
		"nginx:1@" + someDigest:           "docker.io/library/nginx:1@" + someDigest,
		"host.example/app:80/x":           "!",
		"":                                "!",
		"Nginx":                           "!",
		"a//b":                            "!",
		"-a":                              "!",
		"a:":                              "!",
		"a:.x":                            "!",
		"a___b":                           "!",
		"a@sha256:12":                     "!",
		"host:port/a":                     "!",
		"a b":                             "!",
		"docker.io/../etc":                "!",
		strings.Repeat("a", 300):          "!",
	} {
		got, err := ParseRef(in)
		if want == "!" {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v %v, want Invalid", in, got, err)
			}
		} else if err != nil || got.String() != want {
			t.Errorf("%q: %v %v, want %s", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"nginx": "nginx:latest", "a/b:c": "a/b:c", "localhost/x": "localhost/x:latest"} {
		if r, err := ParseRef(in); err != nil || r.Familiar() != want {
			t.Errorf("%q: %v %v", in, r.Familiar(), err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"nginx", "localhost:5000/a:b", "a@" + someDigest, "[::1]:1/a", "A.b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		for _, form := range []string{r.String(), r.Familiar()} {
			if again, err := ParseRef(form); err != nil || again != r {
				t.Errorf("%q is %+v, but %q is %+v %v", s, r, form, again, err)
			}
		}
	})
}
