package daemon

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// nodeTransport carries the API server's requests to kubelets. The one in this process is reached through
// memory: no port is opened that could be taken or attacked.
func (d *daemon) nodeTransport() http.RoundTripper {
	d.pipes = newPipeListener()
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.pipes.dial(ctx) },
		MaxIdleConns:   16, IdleConnTimeout: time.Minute,
	}
}

// pipeListener is a net.Listener whose connections stay in this process.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, fault.New(fault.Unavailable, "the node has stopped")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
