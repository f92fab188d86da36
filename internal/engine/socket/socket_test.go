package socket_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/enginetest"
	"github.com/dhow-project/dhow/internal/engine/fake"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// backend is a fake engine with a library that only moves bytes.
type backend struct{ *fake.Engine }

func (backend) Push(context.Context, string, []engine.Auth, func(engine.Progress)) error {
	return fault.New(fault.Denied, "push: the registry wants a login")
}
func (backend) Tag(context.Context, string, string) error { return nil }
func (backend) Save(_ context.Context, refs []string, w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(refs, "+"))
	return err
}
func (backend) Load(_ context.Context, r io.Reader, _ func(engine.Progress)) ([]engine.Image, error) {
	raw, err := io.ReadAll(r)
	return []engine.Image{{ID: fmt.Sprint(len(raw))}}, err
}
func (backend) Inspect(context.Context, string) ([]byte, error) { return []byte("{}"), nil }
func (backend) Prune(context.Context, bool) (int64, error)      { return 7, nil }
func (backend) Build(_ context.Context, _ engine.BuildOptions, progress func(engine.BuildEvent)) (string, error) {
	for i := range 3 {
		progress(engine.BuildEvent{Step: i + 1})
	}
	return "built", nil
}

// connect serves b on a socket of its own and gives a client of it.
func connect(t *testing.T, b socket.Backend) *socket.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- socket.Serve(ctx, l, b, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return socket.New(path)
}

// TestSuite: an engine at the other end of a socket is an engine.
func TestSuite(t *testing.T) {
	behind := map[*socket.Client]*fake.Engine{}
	enginetest.Run(t, enginetest.Options{
		New: func(t *testing.T) engine.Engine {
			e := fake.New()
			c := connect(t, backend{e})
			behind[c] = e
			return c
		},
		Image: func(_ *testing.T, e engine.Engine) string {
			behind[e.(*socket.Client)].AddImage(engine.Image{Tags: []string{"busybox:1"}, Size: 1 << 20})
			return "busybox:1"
		},
		Network: true,
	})
}

func TestLibraryOverTheWire(t *testing.T) {
	c := connect(t, backend{fake.New()})
	ctx := t.Context()
	var steps []int
	id, err := c.Build(ctx, engine.BuildOptions{}, func(e engine.BuildEvent) { steps = append(steps, e.Step) })
	if err != nil || id != "built" || len(steps) != 3 {
		t.Errorf("build: %q, %v, %v", id, steps, err)
	}
	big := strings.Repeat("x", 3<<20) // several frames
	if images, err := c.Load(ctx, strings.NewReader(big), nil); err != nil || images[0].ID != fmt.Sprint(len(big)) {
		t.Errorf("load: %v, %v", images, err)
	}
	var out bytes.Buffer
	if err := c.Save(ctx, []string{"a", "b"}, &out); err != nil || out.String() != "a+b" {
		t.Errorf("save: %q, %v", out.String(), err)
	}
	if err := c.Push(ctx, "a", nil, nil); !fault.Is(err, fault.Denied) {
		t.Errorf("push: %v, want the kind of the error to arrive", err)
	}
}

func TestNobodyListens(t *testing.T) {
	_, err := socket.New(filepath.Join(t.TempDir(), "none")).Info(t.Context())
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
}
