// Package logs reads and rotates container log files in the CRI format:
// "<RFC3339Nano> <stdout|stderr> <F|P> <text>", P for a part of a line.
//
// Following a log sleeps on inotify. Who writes the files is the engine's matter.
package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options of a read, as kubectl logs has them.
type Options struct {
	Follow     bool
	Timestamps bool
	Tail       int64 // last lines, -1 for all
	Since      time.Time
	LimitBytes int64  // 0 for none
	Stream     string // "", "stdout" or "stderr"
}

// Read writes the lines of a log file to stdout and stderr (which may be the same). With Follow it goes on until done is
// closed and the rest was read, or ctx ends.
func Read(ctx context.Context, path string, o Options, done <-chan struct{}, stdout, stderr io.Writer) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	if o.Tail >= 0 {
		at, err := tailStart(f, o.Tail)
		if err != nil {
			return fmt.Errorf("find the last %d lines: %w", o.Tail, err)
		}
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
	}
	w := &writer{o: o, out: stdout, err: stderr, left: o.LimitBytes}
	if !o.Follow {
		_, err := w.copy(bufio.NewReaderSize(f, 64<<10), nil)
		return err
	}
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch log: %w", err)
	}
	defer watch.Close()
	if err := watch.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("watch log: %w", err)
	}
	r, rest := bufio.NewReaderSize(f, 64<<10), []byte(nil)
	for last := false; ; {
		if rest, err = w.copy(r, rest); err != nil || w.full {
			return err
		}
		if next := replaced(f, path); next != nil {
			f.Close()
			f, r, rest = next, bufio.NewReaderSize(next, 64<<10), nil
			continue
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			last = true
		case <-watch.Events:
		case err := <-watch.Errors:
			return fmt.Errorf("watch log: %w", err)
		}
	}
}

// open opens a log file, refusing links and devices: a log directory may not lead elsewhere.
func open(path string) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	st, err := root.Lstat(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("log %s is no regular file", path)
	}
	return root.Open(filepath.Base(path))
}

// replaced opens the file that took f's place after a rotation; nil when f is still the one.
func replaced(f *os.File, path string) *os.File {
	a, err := f.Stat()
	if err != nil {
		return nil
	}
	b, err := os.Stat(path)
	if err != nil || os.SameFile(a, b) {
		return nil
	}
	next, err := open(path)
	if err != nil {
		return nil
	}
	return next
}

// writer formats lines.
type writer struct {
	o        Options
	out, err io.Writer
	left     int64
	full     bool
}

// copy writes whole lines until the end of r and returns the unfinished one; rest is the one of the call before.
func (w *writer) copy(r *bufio.Reader, rest []byte) ([]byte, error) {
	for {
		line, err := r.ReadSlice('\n')
		if len(rest) > 0 {
			line = append(rest, line...)
			rest = nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
			rest = append([]byte(nil), line...)
			if errors.Is(err, io.EOF) {
				return rest, nil
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("read log: %w", err)
		}
		if err := w.line(line); err != nil || w.full {
			return nil, err
		}
	}
}

// line writes one log line that ends in a newline.
func (w *writer) line(b []byte) error {
	at, stream, text, ok := parse(b)
	if !ok || w.o.Stream != "" && w.o.Stream != stream {
		return nil
	}
	if !w.o.Since.IsZero() {
		if t, err := time.Parse(time.RFC3339Nano, string(at)); err == nil && t.Before(w.o.Since) {
			return nil
		}
	}
	if w.o.Timestamps {
		text = append(append(append(make([]byte, 0, len(at)+1+len(text)), at...), ' '), text...)
	}
	if w.o.LimitBytes > 0 {
		if int64(len(text)) >= w.left {
			text, w.full = text[:w.left], true
		}
		w.left -= int64(len(text))
	}
	out := w.out
	if stream == "stderr" {
		out = w.err
	}
	_, err := out.Write(text)
	return err
}

// parse splits a line; text keeps its newline only when the line is whole.
func parse(b []byte) (at []byte, stream string, text []byte, ok bool) {
	at, b, ok1 := bytes.Cut(b, []byte(" "))
	s, b, ok2 := bytes.Cut(b, []byte(" "))
	tag, text, ok3 := bytes.Cut(b, []byte(" "))
	if !ok1 || !ok2 || !ok3 {
		return nil, "", nil, false
	}
	if len(tag) > 0 && tag[0] == 'P' {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return at, string(s), text, true
}

// tailStart is the offset of the last n lines.
func tailStart(f io.ReaderAt, n int64) (int64, error) {
	st, err := f.(*os.File).Stat()
	if err != nil || n == 0 {
		return st.Size(), err
	}
	buf := make([]byte, 16<<10)
	seen := int64(0)
	for end := st.Size(); end > 0; {
		begin := max(0, end-int64(len(buf)))
		part := buf[:end-begin]
		if _, err := f.ReadAt(part, begin); err != nil {
			return 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			if part[i] != '\n' || begin+int64(i) == st.Size()-1 {
				continue
			}
			if seen++; seen == n {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return 0, nil
}

// Tail is the last lines of a log as one text of at most most bytes, for a termination message.
func Tail(path string, lines int64, most int) string {
	var b bytes.Buffer
	if err := Read(context.Background(), path, Options{Tail: lines}, nil, &b, &b); err != nil {
		return fmt.Sprintf("Error on reading termination message from logs: %v", err)
	}
	out := b.Bytes()
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return string(bytes.ToValidUTF8(out, []byte("\uFFFD")))
}
