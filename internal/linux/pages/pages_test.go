package pages

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadOnly(t *testing.T) {
	maps := `00400000-01920000 r-xp 00000000 fe:00 9979015                            /tmp/a b (deleted)
01920000-040a0000 r--p 01520000 fe:00 9979015                            /tmp/a b (deleted)
040a0000-0413e000 rw-p 03ca0000 fe:00 9979015                            /tmp/a b (deleted)
7f0880200000-7f0880300000 r--s 00000000 fe:00 17                         /tmp/store.db
7f087ff20000-7f0880200000 rw-p 00000000 00:00 0 
7ffd89cba000-7ffd89cdb000 rw-p 00000000 00:00 0                          [stack]
`
	got, err := readOnly(strings.NewReader(maps), "/tmp/a b (deleted)")
	if err != nil {
		t.Fatal(err)
	}
	want := []area{{0x400000, 0x1920000}, {0x1920000, 0x40a0000}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(area{})); d != "" {
		t.Error(d)
	}
}

// The program goes on as before, with less of itself in memory.
func TestForget(t *testing.T) {
	if err := Forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		t.Error(err)
	}
}
