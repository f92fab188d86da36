package server

import (
	"io"
	"os"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// attach joins a container's streams until it has exited or the client hangs up.
func (s *Server) attach(c *call) {
	b, err := s.box(c.req.ID)
	if err == nil && c.files[0] != nil && b.stdin == nil {
		err = fault.New(fault.Invalid, "container %s has no stdin", c.req.ID)
	}
	if err != nil {
		_ = proto.Write(c.conn, proto.Fail(err))
		c.close()
		return
	}
	// Blocking files of a client would block a thread each; the poller takes what it can.
	b.mu.Lock()
	early := b.state.Status == proto.Created
	b.mu.Unlock()
	for i, p := range b.pumps {
		if f := c.files[i+1]; f != nil {
			p.join(&sink{f: f, patient: early})
		}
	}
	if in := c.files[0]; in != nil {
		go feed(b, in)
	}
	_ = proto.Write(c.conn, &proto.Reply{})
	drained := make(chan struct{})
	go func() { <-b.gone; b.outputs.Wait(); close(drained) }()
	hungUp := make(chan struct{})
	go func() { _, _ = c.conn.Read(make([]byte, 1)); close(hungUp) }()
	select {
	case <-drained:
		_ = proto.Write(c.conn, &proto.Reply{})
	case <-hungUp:
	}
	for i, p := range b.pumps {
		p.leave(c.files[i+1])
	}
	c.close()
}

// feed copies an attached input to the container's.
func feed(b *box, in *os.File) {
	defer in.Close()
	_, _ = io.Copy(b.stdin, onlyReader{in})
	if !b.once {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stdin != b.console {
		b.stdin.Close()
		return
	}
	// A terminal ends its input with ^D.
	_, _ = b.stdin.Write([]byte{4})
}

// onlyReader hides what would make io.Copy use splice, which needs blocking descriptors.
type onlyReader struct{ io.Reader }
