package logs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead: whatever a container managed to get into its log, reading ends and never shows more than asked.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sample), int64(-1), int64(0))
	f.Add([]byte("x"), int64(1), int64(3))
	f.Add([]byte("2026-11-21T02:26:00Z stdout P \n\n\n   \n"), int64(2), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, tail, limit int64) {
		path := filepath.Join(t.TempDir(), "0.log")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		o := Options{Tail: max(tail, -1), LimitBytes: max(limit, 0), Timestamps: true}
		if err := Read(t.Context(), path, o, nil, &out, &out); err != nil {
			t.Fatal(err)
		}
		if o.LimitBytes > 0 && int64(out.Len()) > o.LimitBytes || out.Len() > len(b) {
			t.Errorf("%d bytes of a log of %d, limit %d", out.Len(), len(b), o.LimitBytes)
		}
	})
}
