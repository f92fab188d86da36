package proto

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Version of the protocol. A keeper of another version is upgraded in place before anything else is asked of it.
const Version = 1

// MaxFrame bounds one message.
const MaxFrame = 8 << 20

// The requests. Each has a connection of its own.
const (
	OpHello    = "hello"
	OpCreate   = "create"
	OpStart    = "start"
	OpKill     = "kill"
	OpDelete   = "delete"
	OpList     = "list"
	OpEvents   = "events"
	OpExec     = "exec"
	OpAttach   = "attach"
	OpResize   = "resize"
	OpReopen   = "reopen"
	OpUpgrade  = "upgrade"
	OpShutdown = "shutdown"
)

// Request is what a client asks. Descriptors travel with it: exec and attach send stdin,
// stdout and stderr, as far as Fds says; upgrade sends the new program.
type Request struct {
	Op        string
	ID        string     `json:",omitempty"`
	Container *Container `json:",omitempty"`
	Exec      *Exec      `json:",omitempty"`
	Signal    int        `json:",omitempty"`
	All       bool       `json:",omitempty"`
	Size      *Size      `json:",omitempty"`
	Since     uint64     `json:",omitempty"` // events after this Seq of this keeper's life
	Hash      string     `json:",omitempty"`
	Fds       [3]bool    // which of stdin, stdout and stderr follow, in this order
}

// Reply is what the keeper answers. Events and exec answer more than once.
type Reply struct {
	Error  string     `json:",omitempty"`
	Kind   fault.Kind `json:",omitempty"`
	Pid    int        `json:",omitempty"`
	Code   int        `json:",omitempty"`
	States []State    `json:",omitempty"`
	Event  *Event     `json:",omitempty"`
	Hello  *Hello     `json:",omitempty"`
}

// Hello says who answers.
type Hello struct {
	Version int
	Hash    string // of the running program
	Pid     int
}

// Err is the error of a reply.
func (r *Reply) Err() error {
	if r.Error == "" {
		return nil
	}
	return fault.New(r.Kind, "%s", r.Error)
}

// Fail makes an error a reply.
func Fail(err error) *Reply { return &Reply{Error: err.Error(), Kind: fault.Of(err)} }

// Write sends one message with descriptors.
func Write(c *net.UnixConn, v any, fds ...int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(body) > MaxFrame {
		return fault.New(fault.Invalid, "message of %d bytes is too long", len(body))
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	frame = append(frame, body...)
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(frame, oob, nil)
	for err == nil && n < len(frame) {
		frame = frame[n:]
		n, err = c.Write(frame)
	}
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// Read receives one message and the descriptors that came with it, which the
// caller must close. io.EOF means that the peer is done.
func Read(c *net.UnixConn, v any) (fds []int, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			fds = nil
		}
	}()
	head := make([]byte, 4)
	if fds, err = readFull(c, head, fds); err != nil {
		return fds, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > MaxFrame {
		return fds, fmt.Errorf("message of %d bytes is too long", n)
	}
	body := make([]byte, n)
	if fds, err = readFull(c, body, fds); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fds, err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fds, fmt.Errorf("decode message: %w", err)
	}
	return fds, nil
}

// maxFds is how many descriptors one message may carry.
const maxFds = 8

func readFull(c *net.UnixConn, b []byte, fds []int) ([]int, error) {
	oob := make([]byte, unix.CmsgSpace(maxFds*4))
	for len(b) > 0 {
		n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
		if oobn > 0 {
			got, perr := parseRights(oob[:oobn])
			fds = append(fds, got...)
			if perr != nil {
				return fds, perr
			}
		}
		if err != nil {
			return fds, err
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return fds, errors.New("too many descriptors in a message")
		}
		if n == 0 {
			return fds, io.EOF
		}
		b = b[n:]
	}
	return fds, nil
}

func parseRights(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var fds []int
	for i := range msgs {
		got, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		fds = append(fds, got...)
	}
	return fds, nil
}
