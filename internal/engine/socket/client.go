package socket

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Client is an engine on the other side of a socket. It is safe for concurrent use.
type Client struct {
	path string
	http http.Client
}

var _ Backend = (*Client)(nil)

// New makes a client of the engine that listens at path; it connects when used.
func New(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }}
	return c
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return conn, nil
}

// call is a unary call, or one with progress.
func call[R, P any](ctx context.Context, c *Client, name string, args any, progress func(P)) (result R, err error) {
	body, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/"+name, bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return result, reach(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	for {
		var l line
		if err := lines.Decode(&l); err != nil {
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			return result, fault.New(fault.Unavailable, "the engine went away during %s: %w", name, err)
		}
		if l.End {
			return finish[R](l)
		}
		var p P
		if json.Unmarshal(l.Progress, &p) == nil && progress != nil {
			progress(p)
		}
	}
}

func finish[R any](l line) (result R, err error) {
	if err := l.Error.err(); err != nil {
		return result, err
	}
	return result, json.Unmarshal(l.Result, &result)
}

func reach(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fault.New(fault.Unavailable, "reach the engine: %w", op)
	}
	return err
}

func plain[R any](ctx context.Context, c *Client, name string, args any) (R, error) {
	return call[R, struct{}](ctx, c, name, args, nil)
}

func act(ctx context.Context, c *Client, name string, args any) error {
	_, err := plain[struct{}](ctx, c, name, args)
	return err
}

// streamed is a call whose connection is switched to frames.
func streamed[R any](ctx context.Context, c *Client, name string, args any, s engine.Streams) (result R, err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return result, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	header, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://engine/"+name, nil)
	if err != nil {
		return result, err
	}
	req.Header.Set(argsHeader, string(header))
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "dhow")
	if err := req.Write(conn); err != nil {
		return result, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return result, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return result, fmt.Errorf("%s: %s", name, bytes.TrimSpace(text))
	}
	out := &frameWriter{w: conn}
	go sendInput(out, s)
	end, err := output(r, s)
	if err != nil {
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		return result, fault.New(fault.Unavailable, "the engine went away during %s: %w", name, err)
	}
	return finish[R](end)
}

func sendInput(out *frameWriter, s engine.Streams) {
	if s.Resize != nil {
		go func() {
			for size := range s.Resize {
				raw, _ := json.Marshal(size)
				if out.write(chResize, raw) != nil {
					return
				}
			}
		}()
	}
	if s.Stdin != nil {
		io.Copy(out.channel(chStdin), s.Stdin)
		out.write(chStdin, nil)
	}
}

func output(r io.Reader, s engine.Streams) (line, error) {
	for {
		channel, payload, err := readFrame(r)
		if err != nil {
			return line{}, err
		}
		var w io.Writer
		switch channel {
		case chStdout:
			w = s.Stdout
		case chStderr:
			w = s.Stderr
		case chJoined:
			if s.Joined != nil {
				s.Joined()
			}
		case chEnd:
			var l line
			return l, json.Unmarshal(payload, &l)
		}
		if w != nil {
			if _, err := w.Write(payload); err != nil {
				return line{}, err
			}
		}
	}
}
