package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/util/portforward"
)

// tunnel upgrades to a WebSocket whose binary messages are the bytes of a SPDY connection.
func tunnel(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	up := websocket.Upgrader{
		HandshakeTimeout: creationTimeout,
		Subprotocols:     []string{portforward.WebsocketsSPDYTunnelingPortForwardV1},
		CheckOrigin:      func(*http.Request) bool { return true }, // callers present credentials, not cookies
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return &wsConn{Conn: ws}, nil
}

// wsConn makes a stream of a WebSocket. One reader and one writer at a time, as net.Conn's users here are.
type wsConn struct {
	*websocket.Conn
	rest io.Reader
	mu   sync.Mutex // of writes
}

func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.rest == nil {
			kind, r, err := c.NextReader()
			if err != nil {
				var closed *websocket.CloseError
				if errors.As(err, &closed) {
					err = io.EOF
				}
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("tunnel: a message is not binary")
			}
			c.rest = r
		}
		n, err := c.rest.Read(b)
		if errors.Is(err, io.EOF) {
			c.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *wsConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *wsConn) Close() error {
	c.mu.Lock()
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
