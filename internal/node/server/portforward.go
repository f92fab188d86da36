package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// maxPairs bounds connections forwarded over one client connection at the same time.
const maxPairs = 256

// portForward carries TCP connections to a pod's loopback: each is a pair of SPDY streams, data and error, with one request
// id. SPDY arrives directly or inside a WebSocket (SPDY/3.1+portforward.k8s.io).
func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	f := &forwarder{s: s, ns: r.PathValue("ns"), pod: r.PathValue("pod"), uid: r.PathValue("uid"), pairs: map[string]*pair{}}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	f.ctx = ctx
	var conn httpstream.Connection
	if wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {
		raw, err := tunnel(w, r)
		if err != nil {
			s.log.Debug("port-forward not opened", "error", err)
			return
		}
		if conn, err = spdy.NewServerConnection(raw, f.stream); err != nil {
			raw.Close()
			return
		}
	} else {
		if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardV1Name}); err != nil {
			return
		}
		if conn = spdy.NewResponseUpgrader().UpgradeResponse(w, r, f.stream); conn == nil {
			return
		}
	}
	defer conn.Close()
	f.mu.Lock()
	f.conn = conn
	f.mu.Unlock()
	select {
	case <-conn.CloseChan():
	case <-ctx.Done():
	}
	cancel()
	conn.Close()
	f.wg.Wait()
}

// forwarder pairs streams.
type forwarder struct {
	s            *Server
	ctx          context.Context
	ns, pod, uid string
	wg           sync.WaitGroup

	mu    sync.Mutex
	conn  httpstream.Connection
	pairs map[string]*pair
}

type pair struct{ data, err httpstream.Stream }

// stream takes one new stream; the second of a pair starts the forwarding.
func (f *forwarder) stream(st httpstream.Stream, sent <-chan struct{}) error {
	port, err := strconv.ParseUint(st.Headers().Get(corev1.PortHeader), 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("unable to parse %q as a port", st.Headers().Get(corev1.PortHeader))
	}
	id := st.Headers().Get(corev1.PortForwardRequestIDHeader)
	if id == "" { // clients before 1.4: pairs have consecutive stream ids, error first
		id = strconv.FormatUint(uint64(st.Identifier()+1)/4, 10)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pairs[id]
	if p == nil {
		if len(f.pairs) >= maxPairs {
			return fmt.Errorf("too many connections at once: at most %d", maxPairs)
		}
		p = &pair{}
		f.pairs[id] = p
	}
	switch st.Headers().Get(corev1.StreamType) {
	case corev1.StreamTypeError:
		p.err = st
	case corev1.StreamTypeData:
		p.data = st
	default:
		return fmt.Errorf("invalid stream type %q", st.Headers().Get(corev1.StreamType))
	}
	if p.data != nil && p.err != nil {
		f.wg.Go(func() {
			<-sent
			f.carry(p, uint16(port))
			f.mu.Lock()
			delete(f.pairs, id)
			conn := f.conn
			f.mu.Unlock()
			if conn != nil {
				conn.RemoveStreams(p.data, p.err)
			}
		})
	}
	return nil
}

// carry copies both ways until both ends are done.
func (f *forwarder) carry(p *pair, port uint16) {
	defer p.data.Close()
	defer p.err.Close()
	c, err := f.s.node.Dial(f.ctx, f.ns, f.pod, f.uid, port)
	if err != nil {
		fmt.Fprintf(p.err, "error forwarding port %d to pod %s, uid %s: %v", port, f.pod, f.uid, err)
		return
	}
	stop := context.AfterFunc(f.ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(c, p.data)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	_, _ = io.Copy(p.data, c)
	p.data.Close()
	_ = p.data.Reset()
	wg.Wait()
}
