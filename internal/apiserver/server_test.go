package apiserver_test

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"sync"
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/store/mem"
)

// fixture is a server on a memory store, reachable by HTTPS and in process.
type fixture struct {
	s   *apiserver.Server
	web *httptest.Server
}

func start(t testing.TB, change ...func(*apiserver.Config)) *fixture {
	t.Helper()
	st := mem.New()
	cfg := apiserver.Config{Store: st, Registry: api.NewRegistry(testKinds())}
	for _, f := range change {
		f(&cfg)
	}
	s, err := apiserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewUnstartedServer(s.Handler())
	web.EnableHTTP2 = true
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		cancel()
		wg.Wait()
		cfg.Store.Close()
	})
	return &fixture{s, web}
}

func (f *fixture) config() *rest.Config {
	return &rest.Config{
		Host: f.web.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: -1, UserAgent: "tester/1",
	}
}

func (f *fixture) typed(t testing.TB, protobuf bool) kubernetes.Interface {
	t.Helper()
	return f.typedWith(t, func(cfg *rest.Config) {
		if protobuf {
			cfg.AcceptContentTypes, cfg.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
		}
	})
}

func (f *fixture) typedWith(t testing.TB, change func(*rest.Config)) kubernetes.Interface {
	t.Helper()
	cfg := f.config()
	change(cfg)
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fixture) dynamic(t testing.TB) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(f.config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fixture) conn() client.Conn {
	return f.s.Conn(&request.User{Name: "tester", Groups: []string{"system:masters"}})
}
