// Package proxy makes the kernel serve Services: their addresses and ports become
// data in one nftables table, changed in one transaction per change.
//
// It knows Services and EndpointSlices and nothing of pods, nodes' engines or the
// API's transport. layout.go draws the table; compile.go says what a Service means; state.go
// finds what changed; run.go carries it out. Start with layout.go.
package proxy

import (
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Cache is what the proxy needs of a live view of one kind; client.Cache is one.
type Cache[T any] interface {
	// Subscribe calls f for every change, old or new being nil for additions and deletions. f does not block.
	Subscribe(f func(old, new T))
	Get(namespace, name string) (T, bool)
	List() []T
	// Index names values of every object; By finds the objects by one.
	Index(name string, values func(T) []string)
	By(index, value string) []T
}

// Config of a Proxy.
type Config struct {
	Name     string // of the cluster; the table is TableName(Name)
	NodeName string
	// PodCIDRs of the whole cluster: sources that can be answered without masquerading.
	PodCIDRs []netip.Prefix
	Services Cache[*corev1.Service]
	Slices   Cache[*discoveryv1.EndpointSlice]
	Log      *slog.Logger
}

// TableName is the nftables table of a cluster.
func TableName(cluster string) string { return "dhow-" + cluster + "-svc" }
