package daemon

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	controllers "github.com/dhow-project/dhow/internal/controller/all"
	"github.com/dhow-project/dhow/internal/engine/local"
	"github.com/dhow-project/dhow/internal/node"
	"github.com/dhow-project/dhow/internal/scheduler"
	"github.com/dhow-project/dhow/internal/service/dns"
	"github.com/dhow-project/dhow/internal/service/proxy"
	"github.com/dhow-project/dhow/internal/x/fault"
)

const clusterDomain = "cluster.local"

func (d *daemon) openEngine(ctx context.Context) (string, error) {
	e, err := openEngine(ctx, d)
	if err != nil {
		return "", err
	}
	d.engine = e
	d.onStop(d.leaveEngine)
	return "", nil
}

// leaveEngine lets containers run on. A start that failed with nothing running leaves nothing behind instead.
func (d *daemon) leaveEngine() error {
	if !d.aborted || !d.engine.Idle() {
		return d.engine.Close()
	}
	return errors.Join(d.engine.Purge(context.Background()), proxy.Purge(d.config.Name))
}

func openEngine(ctx context.Context, d *daemon) (*local.Engine, error) {
	return local.Open(ctx, local.Config{
		Name: d.config.Name, Dir: d.layout.Engine(), NetworkDir: d.layout.Network(),
		PodCIDRs: []netip.Prefix{d.nodeRange()}, Version: Version,
		ClusterCIDRs: []netip.Prefix{d.podRange()}, ServiceCIDRs: []netip.Prefix{d.serviceRange()},
		Registries: registries(d.config),
		DNS:        hostDNS,
		Log:        d.log,
	})
}

func (d *daemon) makeCaches(context.Context) (string, error) {
	d.caches = client.NewCaches(d.conn, d.log)
	d.nodes = client.CacheOf[*corev1.Node](d.caches)
	d.nodeChanged = make(chan struct{}, 1)
	d.nodes.Subscribe(func(_, _ *corev1.Node) {
		select {
		case d.nodeChanged <- struct{}{}:
		default:
		}
	})
	return "", nil
}

func (d *daemon) recorder(conn client.Conn, component string) *client.Recorder {
	r := client.NewRecorder(conn, component, d.config.NodeName, d.log)
	d.live("events of "+component, r.Run)
	return r
}

func (d *daemon) startScheduler(context.Context) (string, error) {
	conn := d.server.ConnAs(&masters, managerScheduler)
	s := scheduler.New(scheduler.Config{Conn: conn, Caches: d.caches, Recorder: d.recorder(conn, scheduler.Name), Log: d.log})
	d.runs = append(d.runs, life{"scheduler", s.Run})
	return "", nil
}

// dnsObjects are the Service that pods have in their resolv.conf, with the bridge as its endpoint.
func (d *daemon) dnsObjects() (*corev1.Service, *discoveryv1.EndpointSlice) {
	meta := metav1.ObjectMeta{
		Namespace: "kube-system", Name: "kube-dns",
		Labels: map[string]string{"k8s-app": "kube-dns", "kubernetes.io/name": "DNS", "kubernetes.io/cluster-service": "true"},
	}
	ip := d.dnsIP().String()
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Type: corev1.ServiceTypeClusterIP}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: meta.Name, discoveryv1.LabelManagedBy: "dhow"}
	ready := true
	slice.Endpoints = []discoveryv1.Endpoint{{
		Addresses:  []string{d.engine.Gateway()[0].String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
	}}
	for _, p := range []struct {
		name     string
		protocol corev1.Protocol
	}{{"dns", corev1.ProtocolUDP}, {"dns-tcp", corev1.ProtocolTCP}} {
		port := int32(53)
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: p.name, Protocol: p.protocol, Port: port, TargetPort: intstr.FromInt32(port)})
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.name, Protocol: &p.protocol, Port: &port})
	}
	return service, slice
}

func (d *daemon) nodeAddresses() []net.IP {
	if ip := primaryIP(); ip != nil {
		return []net.IP{ip}
	}
	return []net.IP{d.engine.Gateway()[0].AsSlice()}
}

// primaryIP is the address this host would use towards the world. Nothing is sent: connecting a UDP socket only asks the routes.
func primaryIP() net.IP {
	c, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return nil
	}
	defer c.Close()
	a, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok || a.IP.IsLoopback() {
		return nil
	}
	return a.IP
}

// nodeRange is this node's part of the pod network: the first /24, as the node IPAM controller will find.
func (d *daemon) nodeRange() netip.Prefix { return netip.PrefixFrom(d.podRange().Masked().Addr(), 24) }

func (d *daemon) startControllers(context.Context) (string, error) {
	conn := d.server.ConnAs(&masters, managerControllers)
	d.parts = controllers.Controllers(controller.Deps{
		Conn: conn, Caches: d.caches, Recorder: d.recorder(conn, "dhow-controllers"), Log: d.log,
		RootCA: d.keys.CA.PEM, SignCSR: d.signCSR, ClusterCIDRs: []netip.Prefix{d.podRange()},
	})
	return "", nil
}

// takeDNS takes the port before anybody is told that the cluster is ready: a name server of the host's that listens on every
// address would end it right after.
func (d *daemon) takeDNS(context.Context) (string, error) {
	addr := netip.AddrPortFrom(d.engine.Gateway()[0], 53).String()
	u, err1 := net.ListenPacket("udp", addr)
	if err1 == nil {
		d.dnsPackets = []net.PacketConn{u}
		d.onStop(func() error { u.Close(); return nil }) // closed already once DNS has run
	}
	l, err2 := net.Listen("tcp", addr)
	if err2 == nil {
		d.dnsStreams = []net.Listener{l}
		d.onStop(func() error { l.Close(); return nil })
	}
	if err := cmp.Or(err1, err2); err != nil {
		return "", fault.New(fault.Exists, "listen on %s for DNS: %w: let the name server of this host listen on its own addresses only (dnsmasq: bind-dynamic), or stop it", addr, err)
	}
	return "", nil
}

// startServices makes the kernel and DNS follow Services.
func (d *daemon) startServices(context.Context) (string, error) {
	services, slices := client.CacheOf[*corev1.Service](d.caches), client.CacheOf[*discoveryv1.EndpointSlice](d.caches)
	p := proxy.New(proxy.Config{
		Name: d.config.Name, NodeName: d.config.NodeName, PodCIDRs: []netip.Prefix{d.podRange()},
		Services: services, Slices: slices, Log: d.log,
	})
	names := dns.New(dns.Config{
		Zone: clusterDomain, PacketConns: d.dnsPackets, Listeners: d.dnsStreams, Addresses: []netip.Addr{d.dnsIP()},
		Services: services, Slices: slices, Log: d.log,
	})
	d.runs = append(d.runs, life{"service proxy", p.Run}, life{"DNS", names.Run})
	return "", nil
}

func (d *daemon) startNode(context.Context) (string, error) {
	n := node.New(node.Config{
		Name: d.config.NodeName, Addresses: d.nodeAddresses(), Dir: d.layout.Node(), LogDir: d.layout.Logs(), Storage: d.layout.Storage(),
		Engine: d.engine, Conn: d.server.ConnAs(&masters, managerNode), DNS: node.DNS{ClusterIP: d.dnsIP().String(), Domain: clusterDomain},
		MaxPods: int64(d.config.MaxPods), Version: Version, Log: d.log,
	})
	d.runs = append(d.runs, life{"node", n.Run})
	api := &http.Server{Handler: n.Handler()}
	d.serve("kubelet API", api, func() error { return api.Serve(d.pipes) })
	return "", nil
}

// life is a part that runs once the caches do.
type life struct {
	name string
	run  func(context.Context) error
}

// runCaches lets everything live that looks at caches. They run first and stop last.
func (d *daemon) runCaches(ctx context.Context) (string, error) {
	d.live("caches", d.caches.Run)
	d.live("controllers", func(ctx context.Context) error { return controllers.Run(ctx, d.parts) })
	for _, l := range d.runs {
		d.live(l.name, l.run)
	}
	return "", d.caches.WaitSynced(ctx)
}
