package logs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const sample = `2026-11-21T02:26:00.000000001Z stdout F one
2026-11-21T02:26:01Z stderr F two
2026-11-21T02:26:02Z stdout P thr
2026-11-21T02:26:02Z stdout F ee
2026-11-21T02:26:03Z stdout F four
`

func TestReadAsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	since, _ := time.Parse(time.RFC3339, "2026-11-21T02:26:02Z")
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"all":        {Options{Tail: -1}, "one\ntwo\nthree\nfour\n"},
		"tail":       {Options{Tail: 1}, "four\n"},
		"tail none":  {Options{Tail: 0}, ""},
		"tail lots":  {Options{Tail: 99}, "one\ntwo\nthree\nfour\n"},
		"since":      {Options{Tail: -1, Since: since}, "three\nfour\n"},
		"limit":      {Options{Tail: -1, LimitBytes: 6}, "one\ntw"},
		"stderr":     {Options{Tail: -1, Stream: "stderr"}, "two\n"},
		"timestamps": {Options{Tail: 1, Timestamps: true}, "2026-11-21T02:26:03Z four\n"},
	} {
		var b bytes.Buffer
		if err := Read(t.Context(), path, tc.o, nil, &b, &b); err != nil || b.String() != tc.want {
			t.Errorf("%s: %q, %v; want %q", name, b.String(), err, tc.want)
		}
	}
	link := filepath.Join(t.TempDir(), "1.log")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Read(t.Context(), link, Options{Tail: -1}, nil, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("followed a link")
	}
}

// waiter is a writer that says when it has seen a text.
type waiter struct {
	b    bytes.Buffer
	want []byte
	ch   chan struct{}
}

func (w *waiter) Write(p []byte) (int, error) {
	n, err := w.b.Write(p)
	if bytes.Contains(w.b.Bytes(), w.want) && w.ch != nil {
		close(w.ch)
		w.ch = nil
	}
	return n, err
}

func TestFollowAcrossRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	line := func(s string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprintf(f, "2026-11-21T02:26:00Z stdout F %s\n", s)
	}
	line("a")
	done, seen := make(chan struct{}), make(chan struct{})
	w := &waiter{want: []byte("b\n"), ch: seen}
	end := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { end <- Read(ctx, path, Options{Tail: -1, Follow: true}, done, w, w) }()
	line("b")
	<-seen
	if err := Rotate(path, 1, time.Now(), func() error { line("c"); return nil }); err != nil {
		t.Fatal(err)
	}
	line("d")
	close(done)
	if err := <-end; err != nil || w.b.String() != "a\nb\nc\nd\n" {
		t.Errorf("%q %v", w.b.String(), err)
	}
}

func TestRotateKeepsFive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	at := time.Now()
	for i := range 9 {
		if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Rotate(path, 10, at.Add(time.Duration(i)*time.Second), func() error { return os.WriteFile(path, nil, 0o600) }); err != nil {
			t.Fatal(err)
		}
	}
	if l, _ := filepath.Glob(path + "*"); len(l) != MaxFiles {
		t.Errorf("%d files: %v", len(l), l)
	}
	if l, _ := filepath.Glob(path + ".*.gz"); len(l) != MaxFiles-2 {
		t.Errorf("compressed: %v", l)
	}
}
