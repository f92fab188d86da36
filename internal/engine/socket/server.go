package socket

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Backend is what is served.
type Backend interface {
	engine.Engine
	engine.Library
}

// Listen opens the socket at path for its owner only (mode 0600), in place of one that a crash left.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve answers at l until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, b Backend, log *slog.Logger) error {
	server := &http.Server{
		Handler:     handler(b),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler lists every method of the contract once.
func handler(b Backend) http.Handler {
	mux := http.NewServeMux()
	type none = struct{}
	unary(mux, "Info", func(ctx context.Context, _ none) (engine.Info, error) { return b.Info(ctx) })

	progress(mux, "Pull", func(ctx context.Context, a pullArgs, p func(engine.Progress)) (string, error) {
		return b.Pull(ctx, a.Ref, a.Auths, p)
	})
	progress(mux, "Push", func(ctx context.Context, a pullArgs, p func(engine.Progress)) (none, error) {
		return none{}, b.Push(ctx, a.Ref, a.Auths, p)
	})
	progress(mux, "Build", b.Build)
	unary(mux, "Image", b.Image)
	unary(mux, "ListImages", func(ctx context.Context, _ none) ([]engine.Image, error) { return b.ListImages(ctx) })
	unary(mux, "RemoveImage", void(b.RemoveImage))
	unary(mux, "ImageUsage", func(ctx context.Context, _ none) (engine.Usage, error) { return b.ImageUsage(ctx) })
	unary(mux, "Tag", func(ctx context.Context, a tagArgs) (none, error) { return none{}, b.Tag(ctx, a.Src, a.Dst) })
	unary(mux, "Inspect", b.Inspect)
	unary(mux, "Prune", b.Prune)
	stream(mux, "Save", func(ctx context.Context, refs []string, s engine.Streams) (none, error) {
		return none{}, b.Save(ctx, refs, s.Stdout)
	})
	stream(mux, "Load", func(ctx context.Context, _ none, s engine.Streams) ([]engine.Image, error) {
		return b.Load(ctx, s.Stdin, nil)
	})

	unary(mux, "CreateSandbox", b.CreateSandbox)
	unary(mux, "StopSandbox", void(b.StopSandbox))
	unary(mux, "RemoveSandbox", void(b.RemoveSandbox))
	unary(mux, "Sandbox", b.Sandbox)
	unary(mux, "ListSandboxes", b.ListSandboxes)
	unary(mux, "SandboxStats", b.SandboxStats)
	stream(mux, "Dial", func(ctx context.Context, a dialArgs, s engine.Streams) (none, error) {
		return none{}, dial(ctx, b, a, s)
	})

	unary(mux, "CreateContainer", func(ctx context.Context, a createArgs) (string, error) {
		return b.CreateContainer(ctx, a.Sandbox, a.Config)
	})
	unary(mux, "StartContainer", void(b.StartContainer))
	unary(mux, "StopContainer", func(ctx context.Context, a stopArgs) (none, error) {
		return none{}, b.StopContainer(ctx, a.ID, a.Grace)
	})
	unary(mux, "RemoveContainer", void(b.RemoveContainer))
	unary(mux, "Container", b.Container)
	unary(mux, "ListContainers", b.ListContainers)
	unary(mux, "UpdateResources", func(ctx context.Context, a updateArgs) (none, error) {
		return none{}, b.UpdateResources(ctx, a.ID, a.Resources)
	})
	unary(mux, "ReopenLog", void(b.ReopenLog))
	unary(mux, "ContainerStats", b.ContainerStats)
	stream(mux, "Exec", func(ctx context.Context, a execArgs, s engine.Streams) (int, error) {
		return b.Exec(ctx, a.ID, a.config(s))
	})
	stream(mux, "Attach", func(ctx context.Context, a attachArgs, s engine.Streams) (none, error) {
		return none{}, b.Attach(ctx, a.ID, a.only(s))
	})
	progress(mux, "Events", func(ctx context.Context, _ none, p func(engine.Event)) (none, error) {
		events, err := b.Events(ctx)
		if err != nil {
			return none{}, err
		}
		p(engine.Event{}) // tells the client that nothing from now on is missed
		for e := range events {
			p(e)
		}
		return none{}, nil
	})
	return mux
}

func void[A any](f func(context.Context, A) error) func(context.Context, A) (struct{}, error) {
	return func(ctx context.Context, a A) (struct{}, error) { return struct{}{}, f(ctx, a) }
}

func unary[A, R any](mux *http.ServeMux, name string, f func(context.Context, A) (R, error)) {
	progress(mux, name, func(ctx context.Context, a A, _ func(struct{})) (R, error) { return f(ctx, a) })
}

func progress[A, P, R any](mux *http.ServeMux, name string, f func(context.Context, A, func(P)) (R, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var args A
		if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
			writeEnd(w, nil, fault.New(fault.Invalid, "read arguments of %s: %w", name, err))
			return
		}
		var mu sync.Mutex // parts of a pull or build report at the same time
		flush := http.NewResponseController(w)
		result, err := f(r.Context(), args, func(p P) {
			mu.Lock()
			defer mu.Unlock()
			raw, _ := json.Marshal(p)
			json.NewEncoder(w).Encode(line{Progress: raw})
			flush.Flush()
		})
		mu.Lock()
		defer mu.Unlock()
		writeEnd(w, result, err)
	})
}

func endLine(result any, err error) line {
	l := line{End: true, Error: toWire(err)}
	if err == nil {
		l.Result, _ = json.Marshal(result)
	}
	return l
}

func writeEnd(w io.Writer, result any, err error) { json.NewEncoder(w).Encode(endLine(result, err)) }

// stream switches the connection to frames. Its arguments come in the Dhow-Args header, as the body is taken.
func stream[A, R any](mux *http.ServeMux, name string, f func(context.Context, A, engine.Streams) (R, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var args A
		if err := json.Unmarshal([]byte(r.Header.Get(argsHeader)), &args); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Time{})
		if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dhow\r\n\r\n"); err != nil {
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		out := &frameWriter{w: conn}
		in, resize := receive(rw, cancel)
		result, err := f(ctx, args, engine.Streams{
			Stdin: in, Stdout: out.channel(chStdout), Stderr: out.channel(chStderr), Resize: resize,
			Joined: func() { out.write(chJoined, nil) },
		})
		end, _ := json.Marshal(endLine(result, err))
		out.write(chEnd, end)
	})
}

// receive splits incoming frames; when the other side goes away it cancels.
func receive(r io.Reader, cancel func()) (io.Reader, <-chan engine.Size) {
	pr, pw := io.Pipe()
	resize := make(chan engine.Size, 1)
	go func() {
		defer cancel()
		defer close(resize)
		for {
			channel, payload, err := readFrame(r)
			switch {
			case err != nil:
				pw.CloseWithError(io.ErrUnexpectedEOF)
				return
			case channel == chStdin && len(payload) == 0:
				pw.Close()
			case channel == chStdin:
				pw.Write(payload) // fails when the reader is done: the rest is dropped
			case channel == chResize:
				var size engine.Size
				if json.Unmarshal(payload, &size) == nil {
					select {
					case resize <- size:
					default:
					}
				}
			}
		}
	}()
	return pr, resize
}

type frameWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frameWriter) write(channel byte, p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return writeFrame(f.w, channel, p)
}

func (f *frameWriter) channel(channel byte) io.Writer { return &channelWriter{f, channel} }

type channelWriter struct {
	f       *frameWriter
	channel byte
}

func (c *channelWriter) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		part := p[n:min(len(p), n+maxFrame)]
		if err := c.f.write(c.channel, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return len(p), nil
}

func dial(ctx context.Context, b Backend, a dialArgs, s engine.Streams) error {
	conn, err := b.Dial(ctx, a.ID, a.Port)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	go func() {
		io.Copy(conn, s.Stdin)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}()
	_, err = io.Copy(s.Stdout, conn)
	return err
}
