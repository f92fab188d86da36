package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-cmp/cmp"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes devices and sets owners")
	}
}

func tarOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		data := []byte(nil)
		if h.Typeflag == tar.TypeReg {
			data = []byte(h.Linkname) // content, in these tests
			h.Linkname, h.Size = "", int64(len(data))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, data string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: data}
}
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
}
func hard(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

// Nothing a stream says may touch what is beside its root.
func TestHostileTars(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		entries []tar.Header
		ok      bool
	}{
		"dotdot":              {[]tar.Header{file("../victim", "bad")}, false},
		"dotdot inside":       {[]tar.Header{file("a/../../victim", "bad")}, false},
		"absolute":            {[]tar.Header{file("/victim", "fine: below the root")}, true},
		"symlink up":          {[]tar.Header{link("l", ".."), file("l/victim", "in root")}, true},
		"symlink absolute":    {[]tar.Header{link("l", "/etc"), file("l/x", "in root")}, true},
		"symlink chain":       {[]tar.Header{link("a", "b"), link("b", "../../.."), file("a/victim", "in root")}, true},
		"symlink loop":        {[]tar.Header{link("a", "b"), link("b", "a"), file("a/x", "")}, false},
		"over symlink":        {[]tar.Header{link("l", "../victim"), file("l", "replaces the link")}, true},
		"dir over symlink":    {[]tar.Header{link("l", "../"), dir("l/"), file("l/victim", "in l")}, true},
		"hardlink up":         {[]tar.Header{hard("h", "../victim")}, false},
		"hardlink absolute":   {[]tar.Header{hard("h", "/victim")}, false},
		"hardlink via link":   {[]tar.Header{link("l", ".."), hard("h", "l/victim")}, false},
		"hardlink to link":    {[]tar.Header{link("l", "../victim"), hard("h", "l"), file("h", "replaces")}, true},
		"whiteout of dots":    {[]tar.Header{file(".wh...", "")}, false},
		"whiteout of nothing": {[]tar.Header{file(".wh.", "")}, false},
		"whiteout via link":   {[]tar.Header{link("l", ".."), file("l/.wh.victim", "")}, true},
		"file as directory":   {[]tar.Header{file("f", ""), file("f/x", "")}, false},
		"root is a file":      {[]tar.Header{file(".", "")}, false},
		"device out of range": {[]tar.Header{{Typeflag: tar.TypeChar, Name: "d", Devmajor: 1 << 20}}, false},
		"host attribute": {[]tar.Header{{Typeflag: tar.TypeDir, Name: "d", PAXRecords: map[string]string{
			"SCHILY.xattr.trusted.overlay.redirect": "/victim"}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			outer := t.TempDir()
			root := filepath.Join(outer, "root")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(outer, "victim"), []byte("good"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Unpack(context.Background(), root, bytes.NewReader(tarOf(t, c.entries...)), Limits{})
			if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v", err)
			}
			if b, err := os.ReadFile(filepath.Join(outer, "victim")); string(b) != "good" {
				t.Errorf("victim is %q %v", b, err)
			}
			if l, _ := os.ReadDir(outer); len(l) != 2 {
				t.Errorf("something appeared: %v", l)
			}
			if st, err := os.Stat(filepath.Join(outer, "victim")); err != nil || st.Sys().(*syscall.Stat_t).Nlink != 1 {
				t.Error("victim was linked into the layer")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	needRoot(t)
	big := tarOf(t, file("a", strings.Repeat("x", 1000)), file("b", ""))
	for _, l := range []Limits{{Bytes: 999}, {Inodes: 1}} {
		if _, err := Unpack(context.Background(), t.TempDir(), bytes.NewReader(big), l); !fault.Is(err, fault.Exhausted) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if _, err := Unpack(context.Background(), t.TempDir(), bytes.NewReader(big[:700]), Limits{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("cut short: %v", err)
	}
}

// A tar becomes a directory and the same tar again; whiteouts and opaque directories are what overlayfs means by them.
func TestRoundTrip(t *testing.T) {
	needRoot(t)
	long := strings.Repeat("long-name/", 15) + "file"
	in := tarOf(t, dir("d/"), file("d/.wh..wh..opq", ""), file("d/new", "1"), file(".wh.gone", ""),
		link("l", "../../somewhere"), file("x", "content"), hard("x2", "x"),
		tar.Header{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o600, Uid: 1000, Gid: 5000},
		tar.Header{Typeflag: tar.TypeBlock, Name: "blk", Devmajor: 8, Devminor: 300},
		tar.Header{Typeflag: tar.TypeReg, Name: "suid", Mode: 0o6755, Uid: 7, Gid: 8, Linkname: "#!",
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		file(long, "deep"))
	one, two := t.TempDir(), t.TempDir()
	if _, err := Unpack(context.Background(), one, bytes.NewReader(in), Limits{}); err != nil {
		t.Fatal(err)
	}
	d, err := fsat.Open(one)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if st, err := d.Lstat("gone"); err != nil || !fsat.IsWhiteout(&st) {
		t.Error("whiteout", err)
	}
	if o, err := d.Opaque("d"); err != nil || !o {
		t.Error("opaque", err)
	}
	st, err := d.Lstat("suid")
	if err != nil || st.Mode&0o7777 != 0o6755 || st.Uid != 7 || st.Gid != 8 {
		t.Errorf("suid %o %d %d %v", st.Mode, st.Uid, st.Gid, err)
	}
	if x, err := d.Xattr("suid", "security.capability"); len(x) != 20 {
		t.Error("capability", x, err)
	}
	var a, b bytes.Buffer
	if _, err := Pack(context.Background(), one, &a); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(context.Background(), two, bytes.NewReader(a.Bytes()), Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(context.Background(), two, &b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the second tar differs:", cmp.Diff(names(t, a.Bytes()), names(t, b.Bytes())))
	}
	have := strings.Join(names(t, a.Bytes()), "\n")
	for _, want := range []string{"d/.wh..wh..opq", ".wh.gone", "x2 -> x", "l -> ../../somewhere", long} {
		if !strings.Contains(have, want) {
			t.Errorf("%q is missing in\n%s", want, have)
		}
	}
}

// A layer may say both that a name is gone and what is there now, in either order.
func TestWhiteoutAndEntry(t *testing.T) {
	needRoot(t)
	for _, c := range [][]tar.Header{
		{file(".wh.d", ""), file("d/x", "1")}, {dir("d"), file("d/x", "1"), file(".wh.d", "")}, {file(".wh.d", ""), dir("d"), file("d/x", "1")},
	} {
		root := t.TempDir()
		if _, err := Unpack(context.Background(), root, bytes.NewReader(tarOf(t, c...)), Limits{}); err != nil {
			t.Fatal(err)
		}
		d, err := fsat.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := d.Opaque("d"); !o || err != nil {
			t.Error("directory that replaces one is not opaque", err)
		}
		if _, err := os.Stat(filepath.Join(root, "d/x")); err != nil {
			t.Error(err)
		}
		d.Close()
	}
}

func names(t testing.TB, b []byte) []string {
	t.Helper()
	var l []string
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err != nil {
			return l
		}
		n := h.Name
		if h.Linkname != "" {
			n += " -> " + h.Linkname
		}
		l = append(l, n)
	}
}

func FuzzUnpack(f *testing.F) {
	needRoot(f)
	f.Add(tarOf(f, dir("d"), link("d/l", ".."), file("d/l/x", "1"), hard("h", "d/l/x"), file(".wh.h", "")))
	f.Add(tarOf(f, file("a/../../b", ""), link("a", "/"), file("a/b", "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		root := filepath.Join(outer, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		_, _ = Unpack(context.Background(), root, bytes.NewReader(data), Limits{Bytes: 1 << 20, Inodes: 100})
		if l, _ := os.ReadDir(outer); len(l) != 1 {
			t.Fatalf("something appeared beside the root: %v", l)
		}
	})
}

func BenchmarkUnpack(b *testing.B) {
	needRoot(b)
	for name, size := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			var entries []tar.Header
			n := min(2000, 64<<20/size)
			for i := range n {
				entries = append(entries, file(filepath.Join("usr/share", string(rune('a'+i%20)), strings.Repeat("f", i%30+1)+string(rune('0'+i/600))), strings.Repeat("x", size)))
			}
			data := tarOf(b, entries...)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				root := b.TempDir()
				if _, err := Unpack(context.Background(), root, bytes.NewReader(data), Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
