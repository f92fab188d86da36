package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/admission"
	"github.com/dhow-project/dhow/internal/apiserver/aggregate"
	"github.com/dhow-project/dhow/internal/apiserver/apply"
	"github.com/dhow-project/dhow/internal/apiserver/atrest"
	"github.com/dhow-project/dhow/internal/apiserver/authn"
	"github.com/dhow-project/dhow/internal/apiserver/authz"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/crd"
	"github.com/dhow-project/dhow/internal/apiserver/openapi"
	"github.com/dhow-project/dhow/internal/apiserver/proxy"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller/localpath"
	"github.com/dhow-project/dhow/internal/pki"
	"github.com/dhow-project/dhow/internal/store/disk"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
)

// kubernetesVersion is the API that is served.
const kubernetesVersion = "v1.36.3"

// The field managers that upstream's components are (the product of their user agents). What users see in managedFields,
// and scripts look for, is the same here.
const (
	managerServer      = "kube-apiserver"
	managerControllers = "kube-controller-manager"
	managerScheduler   = "kube-scheduler"
	managerNode        = "kubelet"
)

// masters is who the parts of this process are.
var masters = request.User{Name: "system:dhow", Groups: []string{"system:masters", "system:authenticated"}}

func (d *daemon) takeLock(context.Context) (string, error) {
	release, err := lock(d.layout)
	if err != nil {
		return "", err
	}
	d.onStop(func() error { release(); return nil })
	return "", nil
}

func (d *daemon) openKeys(context.Context) (string, error) {
	keys, err := pki.Ensure(d.layout.PKI())
	if err != nil {
		return "", err
	}
	d.keys = keys
	d.serving = pki.NewLive(keys.CA, pki.Leaf{
		CommonName: "dhow-apiserver", Server: true,
		Names: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", d.config.NodeName},
		IPs:   []net.IP{net.IPv4(127, 0, 0, 1), d.apiServiceIP().AsSlice()},
	})
	return "", nil
}

func (d *daemon) serviceRange() netip.Prefix { return netip.MustParsePrefix(d.config.ServiceCIDR) }
func (d *daemon) podRange() netip.Prefix     { return netip.MustParsePrefix(d.config.PodCIDR) }

func (d *daemon) apiServiceIP() netip.Addr {
	return admission.System{ServiceRanges: []netip.Prefix{d.serviceRange()}}.APIServerIP()
}

// dnsIP is the tenth address of the service range, where every distribution has it.
func (d *daemon) dnsIP() netip.Addr {
	a := d.serviceRange().Masked().Addr().As4()
	a[3] += 10
	return netip.AddrFrom4(a)
}

func (d *daemon) port() int32 {
	_, p, _ := net.SplitHostPort(d.config.Listen)
	n, _ := strconv.Atoi(p)
	return int32(n)
}

func (d *daemon) openStore(context.Context) (string, error) {
	s, err := disk.Open(d.layout.Store(), d.log)
	if err != nil {
		return "", err
	}
	d.store = s
	d.onStop(s.Close)
	return fmt.Sprintf("revision %d", s.Revision()), nil
}

// startServer makes the API server. What decides about requests needs the server's view of the objects,
// so it is plugged in between New and Start.
func (d *daemon) startServer(ctx context.Context) (string, error) {
	d.registry = api.NewRegistry(all.Kinds())
	secrets, err := atrest.Ensure(d.layout.EncryptionKey())
	if err != nil {
		return "", err
	}
	s, err := apiserver.New(apiserver.Config{
		Store: d.store, Transform: cache.Transform{Encode: secrets.Encode, Decode: secrets.Decode}, Registry: d.registry, Log: d.log,
		Version: version.Info{
			Major: "1", Minor: "36", GitVersion: kubernetesVersion + "+dhow", GitTreeState: "clean",
			GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		},
		Connect: proxy.Connectors(proxy.Config{Node: d.nodeTransport()}),
		Virtual: map[schema.GroupResource]apiserver.Virtual{},
		Extra:   map[string]http.Handler{},
	})
	if err != nil {
		return "", err
	}
	d.server = s
	r := s.Reader()
	d.conn = s.ConnAs(&masters, managerServer)
	chain, tokens := authn.New(r, authn.Options{ClientCAs: d.keys.CA.Pool(), ServiceAccount: d.keys.ServiceAccount})
	d.tokens = tokens
	allow := authz.New(r)
	s.Authenticators = []request.Authenticator{chain}
	s.Authorizers = []request.Authorizer{allow}
	quotas := client.For[*corev1.ResourceQuota](d.conn)
	s.Admission = append([]request.Step{allow.Step()}, admission.Steps(r, admission.Options{
		Authorizer:    allow,
		Merger:        s.Fields(),
		Log:           d.log,
		ServiceRanges: []netip.Prefix{d.serviceRange()},
		UpdateQuota: func(ctx context.Context, q *corev1.ResourceQuota) error {
			_, err := quotas.UpdateStatus(ctx, q)
			return err
		},
	})...)
	d.virtual(chain, allow)
	docs := d.extra()
	front := pki.NewLive(d.keys.RequestHeader, pki.ComponentLeaf("front-proxy-client"))
	others := aggregate.New(aggregate.Config{
		Reader: r, Conn: d.conn, Resolver: webhook.Endpoints(r), Documents: docs, Certificate: front.GetClientCertificate, Log: d.log,
	})
	s.Aggregator = others
	custom := crd.New(s, d.conn, webhook.New(webhook.Endpoints(r)), d.log)
	if err := s.Start(ctx); err != nil {
		return "", err
	}
	if err := custom.Start(ctx); err != nil {
		return "", err
	}
	d.live("API server", s.Run)
	d.live("custom resources", custom.Run)
	d.live("aggregated APIs", others.Run)
	return "", nil
}

// virtual are the kinds that are answered and not stored.
func (d *daemon) virtual(chain *authn.Chain, allow *authz.Chain) {
	for group, f := range map[string]apiserver.Virtual{
		"authentication.k8s.io": authn.NewReviews(chain, d.tokens).Serve,
		"authorization.k8s.io":  allow.Serve,
	} {
		for _, k := range d.registry.Kinds() {
			if k.Hub().Group == group {
				d.server.Virtual[k.GroupResource()] = f
			}
		}
	}
	d.server.Virtual[schema.GroupResource{Resource: "serviceaccounts/token"}] = d.tokens.Serve
}

// extra are the paths that are no resources.
func (d *daemon) extra() *openapi.Spec {
	for path, h := range d.tokens.Handlers() {
		d.server.Extra[path] = h
	}
	docs := openapi.New(d.registry, openapi.Options{
		Version: kubernetesVersion,
		Markers: func(name string) openapi.Marker { return openapi.Marker(apply.MarkerOf(name)) },
	})
	for _, path := range []string{"/openapi/v2", "/openapi/v3", "/openapi/v3/"} {
		d.server.Extra[path] = docs
	}
	return docs
}

func (d *daemon) url() string {
	host, port, _ := net.SplitHostPort(d.config.Listen)
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// ensureObjects makes the objects that a cluster cannot be without, and corrects those that follow
// this process's address.
func (d *daemon) ensureObjects(ctx context.Context) (string, error) {
	if err := admission.EnsureSystem(ctx, d.conn, admission.System{
		ServiceRanges: []netip.Prefix{d.serviceRange()},
		Addresses:     d.engine.Gateway()[:1],
		Port:          d.port(),
		ClientCA:      d.keys.CA.PEM,
		ProxyCA:       d.keys.RequestHeader.PEM,
	}); err != nil {
		return "", err
	}
	g := run.New(ctx) // beside each other, so that they share the store's transactions
	g.Go("roles", func(ctx context.Context) error { return authz.Ensure(ctx, d.conn) })
	g.Go("storage class", func(ctx context.Context) error { return localpath.Offer(ctx, d.conn) })
	if err := g.Wait(); err != nil {
		return "", err
	}
	if err := d.ensureDNS(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("revision %d", d.store.Revision()), nil
}

// takeAddress takes the port before anything is made: that it is somebody else's is the likeliest reason not to start.
func (d *daemon) takeAddress(context.Context) (string, error) {
	l, err := listenTCP(d.config.Listen, "--listen")
	if err != nil {
		return "", err
	}
	d.listener = l
	d.onStop(func() error { l.Close(); return nil })
	return "", nil
}

// listen answers on the address the user chose and on the bridge, where pods find it.
func (d *daemon) listen(context.Context) (string, error) {
	d.answer(d.listener)
	host, port, _ := net.SplitHostPort(d.config.Listen)
	if isUnspecified(host) {
		return d.url(), nil
	}
	l, err := listenTCP(net.JoinHostPort(d.engine.Gateway()[0].String(), port), "--listen")
	if err != nil {
		return "", err
	}
	d.answer(l)
	return d.url(), nil
}

func isUnspecified(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

// answer lets the API be served at l.
func (d *daemon) answer(l net.Listener) {
	server := &http.Server{Handler: d.server.Handler(), TLSConfig: pki.ServerConfig(d.serving, d.keys.CA.Pool())}
	d.serve("listen on "+l.Addr().String(), server, func() error { return server.ServeTLS(l, "", "") })
}

func listenTCP(addr, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fault.New(fault.Exists, "listen on %s: %w: stop what uses the port, or choose another one with %s", addr, err, flag)
	}
	return l, nil
}

// serve lets an HTTP server live.
func (d *daemon) serve(name string, server *http.Server, run func() error) {
	server.ReadHeaderTimeout, server.IdleTimeout, server.ErrorLog = 30*time.Second, 3*time.Minute, quiet(d.log)
	d.live(name, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { server.Close() })()
		if err := run(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}
