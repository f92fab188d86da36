package apiserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
	"github.com/dhow-project/dhow/internal/client/remote"
	"github.com/dhow-project/dhow/internal/store/mem"
)

var master = request.User{Name: "test", Groups: []string{"system:masters"}}

// suiteServer lives as long as the test.
func suiteServer(t *testing.T) *apiserver.Server {
	t.Helper()
	s, err := apiserver.New(apiserver.Config{
		Store: mem.New(), Registry: clienttest.Registry(), Authenticators: []request.Authenticator{everybody{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// everybody is the master.
type everybody struct{}

func (everybody) Authenticate(*http.Request) (*request.User, error) { return &master, nil }

// TestLocalConn: parts in the server's own process see …
func TestLocalConn(t *testing.T) {
	clienttest.Test(t, func(t *testing.T) client.Conn { return suiteServer(t).Conn(&master) })
}

// TestRemoteConn: … what parts elsewhere see.
func TestRemoteConn(t *testing.T) {
	clienttest.Test(t, func(t *testing.T) client.Conn {
		web := httptest.NewUnstartedServer(suiteServer(t).Handler())
		web.EnableHTTP2 = true
		web.StartTLS()
		t.Cleanup(web.Close)
		c, err := remote.New(clienttest.Registry(), remote.Config{Server: web.URL, Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
}
