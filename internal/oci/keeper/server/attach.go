package server

import (
	"io"
	"os"
	"sync"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// attach joins a container's streams until its output ends or the client hangs up.
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
	var left sync.WaitGroup
	for i, p := range b.pumps {
		f := c.files[i+1]
		if f == nil {
			continue
		}
		left.Add(1)
		if !p.join(&sink{f: f, done: left.Done}) {
			left.Done()
		}
	}
	if in := c.files[0]; in != nil {
		go feed(b, in)
	}
	_ = proto.Write(c.conn, &proto.Reply{})
	ended := make(chan struct{})
	go func() {
		if c.files[1] == nil && c.files[2] == nil {
			<-b.gone
		}
		left.Wait()
		close(ended)
	}()
	hungUp := make(chan struct{})
	go func() { _, _ = c.conn.Read(make([]byte, 1)); close(hungUp) }()
	select {
	case <-ended:
		_ = proto.Write(c.conn, &proto.Reply{})
	case <-hungUp:
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
