package apiserver

import (
	"cmp"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/dhow-project/dhow/internal/api/apiregistration"
	"github.com/dhow-project/dhow/internal/apiserver/aggregate"
)

// offers are what other servers serve.
func (s *Server) offers() []aggregate.Offer {
	if s.Aggregator == nil {
		return nil
	}
	return s.Aggregator.Offers()
}

// priority of a group version that this server serves.
func (d *documents) priority(gv schema.GroupVersion) (group, version int32) {
	custom := true
	for _, k := range d.kinds {
		for _, v := range k.Versions {
			if v.GroupVersion() == gv && k.Custom == nil {
				custom = false
			}
		}
	}
	return apiregistration.Priority(gv, custom)
}

// priorityOf a group is that of any of its versions.
func (d *documents) priorityOf(group string) int32 {
	p, _ := d.priority(schema.GroupVersion{Group: group, Version: d.versions[group][0]})
	return p
}

func (d *documents) byPriority(group, a, b string) int {
	_, pa := d.priority(schema.GroupVersion{Group: group, Version: a})
	_, pb := d.priority(schema.GroupVersion{Group: group, Version: b})
	return cmp.Or(cmp.Compare(pb, pa), apiversion.CompareKubeAwareVersionStrings(b, a))
}

// merge adds the group versions of other servers to this server's, each where its priority says. Another server's comes
// in the place of this one's: that is where requests go.
func (d *documents) merge(own []apidiscoveryv2.APIGroupDiscovery, offers []aggregate.Offer) []apidiscoveryv2.APIGroupDiscovery {
	if len(offers) == 0 {
		return own
	}
	at, versions := map[string]int32{}, map[schema.GroupVersion]int32{}
	out := slices.Clone(own)
	for i, g := range out {
		at[g.Name] = d.priorityOf(g.Name)
		out[i].Versions = slices.Clone(g.Versions)
		for _, v := range g.Versions {
			gv := schema.GroupVersion{Group: g.Name, Version: v.Version}
			_, versions[gv] = d.priority(gv)
		}
	}
	for _, o := range offers {
		at[o.Group], versions[o.GroupVersion] = max(at[o.Group], o.GroupPriority), o.VersionPriority
		i := slices.IndexFunc(out, func(g apidiscoveryv2.APIGroupDiscovery) bool { return g.Name == o.Group })
		if i < 0 {
			i = len(out)
			out = append(out, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: o.Group}})
		}
		g := &out[i]
		g.Versions = append(slices.DeleteFunc(g.Versions, func(v apidiscoveryv2.APIVersionDiscovery) bool { return v.Version == o.GroupVersion.Version }), o.Version)
		slices.SortStableFunc(g.Versions, func(a, b apidiscoveryv2.APIVersionDiscovery) int {
			pa, pb := versions[schema.GroupVersion{Group: o.Group, Version: a.Version}], versions[schema.GroupVersion{Group: o.Group, Version: b.Version}]
			return cmp.Or(cmp.Compare(pb, pa), apiversion.CompareKubeAwareVersionStrings(b.Version, a.Version))
		})
	}
	slices.SortStableFunc(out, func(a, b apidiscoveryv2.APIGroupDiscovery) int {
		return cmp.Or(cmp.Compare(at[b.Name], at[a.Name]), strings.Compare(a.Name, b.Name))
	})
	return out
}

// legacy is the list of groups as clients read it that do not know aggregated discovery.
func (d *documents) legacy(offers []aggregate.Offer) []metav1.APIGroup {
	var own []apidiscoveryv2.APIGroupDiscovery
	for _, name := range d.groups {
		g := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, v := range d.versions[name] {
			g.Versions = append(g.Versions, apidiscoveryv2.APIVersionDiscovery{Version: v})
		}
		own = append(own, g)
	}
	var out []metav1.APIGroup
	for _, g := range d.merge(own, offers) {
		l := metav1.APIGroup{Name: g.Name}
		for _, v := range g.Versions {
			l.Versions = append(l.Versions, metav1.GroupVersionForDiscovery{GroupVersion: g.Name + "/" + v.Version, Version: v.Version})
		}
		l.PreferredVersion = l.Versions[0]
		out = append(out, l)
	}
	return out
}
