package apiserver_test

import (
	"context"
	"testing"

	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
	"github.com/dhow-project/dhow/internal/store/mem"
)

// TestLocalConn: parts in the server's own process see what parts elsewhere see.
func TestLocalConn(t *testing.T) {
	clienttest.Test(t, func(t *testing.T) client.Conn {
		s, err := apiserver.New(apiserver.Config{Store: mem.New(), Registry: clienttest.Registry()})
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
		return s.Conn(&request.User{Name: "test", Groups: []string{"system:masters"}})
	})
}
