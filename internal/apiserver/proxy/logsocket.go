package proxy

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"github.com/dhow-project/dhow/internal/apiserver"
)

// connectLog serves logs: plain, or as messages to WebSockets (binary.k8s.io, base64.binary.k8s.io), for which the node is
// asked in the plain way.
func (cfg Config) connectLog(w http.ResponseWriter, r *http.Request, c *apiserver.Connection) {
	if !wsstream.IsWebSocketRequest(r) {
		cfg.connect(logTarget)(w, r, c)
		return
	}
	t, err := logTarget(r, c)
	if err != nil {
		fail(w, err)
		return
	}
	if cfg.Node == nil {
		fail(w, apierrors.NewServiceUnavailable("this server has no connection to nodes"))
		return
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, t.url.String(), nil)
	if err != nil {
		fail(w, apierrors.NewInternalError(err))
		return
	}
	resp, err := cfg.Node.RoundTrip(ask)
	if err != nil {
		fail(w, apierrors.NewServiceUnavailable("error trying to reach service: "+err.Error()))
		return
	}
	defer resp.Body.Close()
	if err := judge(resp, ask, t); err != nil {
		fail(w, err)
		return
	}
	// An empty message at first tells clients that the stream is open.
	socket := wsstream.NewReader(resp.Body, true, wsstream.NewDefaultReaderProtocols())
	_ = socket.Copy(w, r) // an error is the client's going
}
