package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"github.com/dhow-project/dhow/internal/engine"
)

// wanted are the streams a client asked for.
type wanted struct{ stdin, stdout, stderr, tty bool }

func wantedOf(r *http.Request) wanted {
	q := r.URL.Query()
	has := func(long, short string) bool { return truth(q, long) || truth(q, short) }
	w := wanted{has(corev1.ExecStdinParam, "stdin"), has(corev1.ExecStdoutParam, "stdout"), has(corev1.ExecStderrParam, "stderr"), has(corev1.ExecTTYParam, "tty")}
	if w.tty {
		w.stderr = false // a terminal has one output
	}
	return w
}

// streams are the open ones; status reports the outcome to the client.
type streams struct {
	engine.Streams
	status func(error)
	close  func()
}

// creationTimeout bounds how long a client may take to open what it asked for.
const creationTimeout = 30 * time.Second

// open upgrades the connection by whatever the client speaks: WebSocket (v5, v4) or SPDY/3.1. It has answered when it fails.
func open(w http.ResponseWriter, r *http.Request, want wanted) (*streams, error) {
	if wsstream.IsWebSocketRequest(r) {
		return openWebSocket(w, r, want)
	}
	return openSPDY(w, r, want)
}

// openWebSocket: one message is one byte of channel number and data.
func openWebSocket(w http.ResponseWriter, r *http.Request, want wanted) (*streams, error) {
	pick := func(on bool, t wsstream.ChannelType) wsstream.ChannelType {
		if on {
			return t
		}
		return wsstream.IgnoreChannel
	}
	ch := []wsstream.ChannelType{
		pick(want.stdin, wsstream.ReadChannel), pick(want.stdout, wsstream.WriteChannel), pick(want.stderr, wsstream.WriteChannel),
		wsstream.WriteChannel, pick(want.tty, wsstream.ReadChannel),
	}
	raw, text := wsstream.ChannelProtocolConfig{Binary: true, Channels: ch}, wsstream.ChannelProtocolConfig{Channels: ch}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		"": raw, wsstream.ChannelWebSocketProtocol: raw, wsstream.Base64ChannelWebSocketProtocol: text,
		"v4." + wsstream.ChannelWebSocketProtocol: raw, "v4." + wsstream.Base64ChannelWebSocketProtocol: text,
		remotecommand.StreamProtocolV5Name: raw,
	})
	protocol, c, err := conn.Open(w, r)
	if err != nil {
		return nil, err
	}
	s := &streams{close: func() { conn.Close() }}
	s.TTY = want.tty
	if want.stdin {
		s.Stdin = c[remotecommand.StreamStdIn]
	}
	if want.stdout {
		s.Stdout = c[remotecommand.StreamStdOut]
	}
	if want.stderr {
		s.Stderr = c[remotecommand.StreamStdErr]
	}
	if want.tty {
		s.Resize = sizes(r.Context(), c[remotecommand.StreamResize])
	}
	// Clients wait for a first message on outputs before they believe in the connection.
	if want.stdout {
		_, _ = c[remotecommand.StreamStdOut].Write(nil)
	} else if want.stderr {
		_, _ = c[remotecommand.StreamStdErr].Write(nil)
	}
	structured := protocol == remotecommand.StreamProtocolV5Name || len(protocol) > 3 && protocol[:3] == "v4."
	s.status = statusWriter(c[remotecommand.StreamErr], structured)
	return s, nil
}

// openSPDY: the client opens one stream for each thing it wants, named by a header.
func openSPDY(w http.ResponseWriter, r *http.Request, want wanted) (*streams, error) {
	protocol, err := httpstream.Handshake(r, w, remotecommand.SupportedStreamingProtocols)
	if err != nil {
		return nil, err
	}
	type opened struct {
		httpstream.Stream
		sent <-chan struct{}
	}
	ch := make(chan opened, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(st httpstream.Stream, sent <-chan struct{}) error {
		select {
		case ch <- opened{st, sent}:
			return nil
		default:
			return fmt.Errorf("too many streams")
		}
	})
	if conn == nil {
		return nil, fmt.Errorf("upgrade to SPDY refused")
	}
	s := &streams{close: func() { conn.Close() }}
	s.TTY = want.tty
	resize := want.tty && protocol != remotecommand.StreamProtocolV1Name && protocol != remotecommand.StreamProtocolV2Name
	left := 1
	for _, on := range []bool{want.stdin, want.stdout, want.stderr, resize} {
		if on {
			left++
		}
	}
	t := time.NewTimer(creationTimeout)
	defer t.Stop()
	for ; left > 0; left-- {
		var st opened
		select {
		case st = <-ch:
			<-st.sent
		case <-t.C:
			conn.Close()
			return nil, fmt.Errorf("the client did not open its streams within %s", creationTimeout)
		case <-conn.CloseChan():
			return nil, fmt.Errorf("the client went away")
		}
		switch st.Headers().Get(corev1.StreamType) {
		case corev1.StreamTypeError:
			s.status = statusWriter(st, protocol == remotecommand.StreamProtocolV4Name)
		case corev1.StreamTypeStdin:
			s.Stdin = st
		case corev1.StreamTypeStdout:
			s.Stdout = st
		case corev1.StreamTypeStderr:
			s.Stderr = st
		case corev1.StreamTypeResize:
			s.Resize = sizes(r.Context(), st)
		}
	}
	if s.status == nil {
		s.status = func(error) {}
	}
	return s, nil
}

// sizes decodes terminal sizes until the stream ends.
func sizes(ctx context.Context, r io.Reader) <-chan engine.Size {
	ch := make(chan engine.Size)
	go func() {
		defer close(ch)
		dec := json.NewDecoder(r)
		for {
			var s engine.Size
			if dec.Decode(&s) != nil {
				return
			}
			select {
			case ch <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}
