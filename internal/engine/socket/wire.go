// Package socket carries the engine contract over a unix socket, so that the command
// line reaches the engine of a running daemon.
//
// server.go and client.go are mirror images: one line for each method in both. A call is
// a POST of its arguments as JSON; the answer is a line of JSON for each piece of progress and one for the
// result. Calls with streams switch the connection to frames. Only root can open the socket.
package socket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// line is one line of an answer: progress, or the end with a result or an error.
type line struct {
	Progress json.RawMessage `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *wireError      `json:"error,omitempty"`
	End      bool            `json:"end,omitempty"`
}

type wireError struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
}

func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	return &wireError{fault.Of(err), err.Error()}
}

func (e *wireError) err() error {
	if e == nil {
		return nil
	}
	return fault.As(e.Kind, errors.New(e.Message))
}

// Frames of a switched connection: channel 1 byte, length 4 bytes big endian, payload. An empty payload closes the channel.
const (
	chStdin byte = iota
	chStdout
	chStderr
	chResize // JSON engine.Size
	chEnd    // JSON line
	chJoined // nothing: engine.Streams.Joined
)

const maxFrame = 1 << 20

func writeFrame(w io.Writer, channel byte, payload []byte) error {
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = channel
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

func readFrame(r io.Reader) (channel byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}
