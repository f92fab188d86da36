package aggregate

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Offer is a group version of another server, as discovery lists it.
type Offer struct {
	schema.GroupVersion
	// Clients look first where the numbers are higher.
	GroupPriority, VersionPriority int32
	Version                        apidiscoveryv2.APIVersionDiscovery
}

// Offers are the group versions of other servers, in no order.
func (a *Aggregator) Offers() []Offer {
	all := *a.remotes.Load()
	if len(all) == 0 {
		return nil
	}
	out := make([]Offer, 0, len(all))
	for gv, r := range all {
		v := apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
		if !r.available.Load() {
			v.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
		}
		if l := r.resources.Load(); l != nil {
			v.Resources = resources(gv, l)
		}
		out = append(out, Offer{gv, r.spec.GroupPriorityMinimum, r.spec.VersionPriority, v})
	}
	return out
}

// resources says in the words of aggregated discovery what a server said in those of the older kind (KEP-3352).
func resources(gv schema.GroupVersion, l *metav1.APIResourceList) []apidiscoveryv2.APIResourceDiscovery {
	var out []apidiscoveryv2.APIResourceDiscovery
	at := map[string]int{}
	for _, r := range l.APIResources {
		if strings.Contains(r.Name, "/") {
			continue
		}
		at[r.Name] = len(out)
		d := apidiscoveryv2.APIResourceDiscovery{
			Resource: r.Name, Scope: apidiscoveryv2.ScopeCluster, SingularResource: r.SingularName, Verbs: r.Verbs,
			ShortNames: r.ShortNames, Categories: r.Categories, ResponseKind: responseKind(gv, r),
		}
		if r.Namespaced {
			d.Scope = apidiscoveryv2.ScopeNamespace
		}
		out = append(out, d)
	}
	for _, r := range l.APIResources {
		parent, sub, ok := strings.Cut(r.Name, "/")
		if !ok {
			continue
		}
		i, known := at[parent]
		if !known { // a subresource of nothing, which the older kind allows
			i = len(out)
			at[parent] = i
			scope := apidiscoveryv2.ScopeCluster
			if r.Namespaced {
				scope = apidiscoveryv2.ScopeNamespace
			}
			out = append(out, apidiscoveryv2.APIResourceDiscovery{Resource: parent, Scope: scope, ResponseKind: &metav1.GroupVersionKind{}})
		}
		out[i].Subresources = append(out[i].Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: sub, ResponseKind: responseKind(gv, r), Verbs: r.Verbs})
	}
	return out
}

func responseKind(gv schema.GroupVersion, r metav1.APIResource) *metav1.GroupVersionKind {
	k := &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.Kind}
	if r.Group != "" || r.Version != "" {
		k.Group, k.Version = r.Group, r.Version
	}
	return k
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return strings.ToUpper(hex.EncodeToString(h[:]))
}
