package apiserver

import (
	"cmp"
	"crypto/sha512"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// documents are the discovery documents of a list of kinds, made when first asked for.
type documents struct {
	groups     []string // in the order of registration, the core group not among them
	versions   map[string][]string
	kinds      []*api.Kind
	aggregated func() (core, named *apidiscoveryv2.APIGroupDiscoveryList)
}

// allVerbs is what a kind that says nothing is served with, as discovery sorts it.
var allVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

func newDocuments(kinds []*api.Kind) *documents {
	d := &documents{kinds: kinds, versions: map[string][]string{}}
	for _, k := range kinds {
		for _, v := range k.Versions {
			if v.Unserved {
				continue
			}
			if d.versions[v.Group] == nil && v.Group != "" {
				d.groups = append(d.groups, v.Group)
			}
			if !slices.Contains(d.versions[v.Group], v.Version) {
				d.versions[v.Group] = append(d.versions[v.Group], v.Version)
			}
		}
	}
	for g, vs := range d.versions {
		slices.SortStableFunc(vs, func(a, b string) int { return d.byPriority(g, a, b) })
	}
	slices.SortStableFunc(d.groups, func(a, b string) int { return cmp.Compare(d.priorityOf(b), d.priorityOf(a)) })
	d.aggregated = sync.OnceValues(d.aggregate)
	return d
}

// each calls f for every kind served in gv, in order.
func (d *documents) each(gv schema.GroupVersion, f func(k *api.Kind, version int)) {
	for _, k := range d.kinds {
		for i, v := range k.Versions {
			if v.GroupVersion() == gv && !v.Unserved {
				f(k, i)
			}
		}
	}
}

func kindVerbs(k *api.Kind) []string {
	if k.Verbs == nil {
		return allVerbs
	}
	v := slices.Clone(k.Verbs)
	slices.Sort(v)
	return v
}

func singular(k *api.Kind) string {
	if k.Singular != "" {
		return k.Singular
	}
	return strings.ToLower(k.Kind)
}

// resources is the document of one group version; nil when it is not served.
func (d *documents) resources(gv schema.GroupVersion) *metav1.APIResourceList {
	if !slices.Contains(d.versions[gv.Group], gv.Version) {
		return nil
	}
	l := &metav1.APIResourceList{GroupVersion: gv.String()}
	d.each(gv, func(k *api.Kind, version int) {
		l.APIResources = append(l.APIResources, metav1.APIResource{
			Name: k.Resource, SingularName: singular(k), Namespaced: k.Namespaced, Kind: k.Kind,
			Verbs: kindVerbs(k), ShortNames: k.ShortNames, Categories: k.Categories, StorageVersionHash: storageHash(k),
		})
		for _, sub := range k.SubresourcesOf(version) {
			r := metav1.APIResource{Name: k.Resource + "/" + sub.Name, Namespaced: k.Namespaced, Kind: k.Kind, Verbs: sub.Verbs}
			if b := sub.Body; b != nil {
				r.Group, r.Version, r.Kind = b.Group, b.Version, b.Kind
			}
			l.APIResources = append(l.APIResources, r)
		}
	})
	slices.SortFunc(l.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	return l
}

func (d *documents) aggregate() (core, named *apidiscoveryv2.APIGroupDiscoveryList) {
	core, named = &apidiscoveryv2.APIGroupDiscoveryList{}, &apidiscoveryv2.APIGroupDiscoveryList{}
	if len(d.versions[""]) > 0 {
		core.Items = append(core.Items, d.aggregateGroup(""))
	}
	for _, g := range d.groups {
		named.Items = append(named.Items, d.aggregateGroup(g))
	}
	return core, named
}

func (d *documents) aggregateGroup(name string) apidiscoveryv2.APIGroupDiscovery {
	g := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, v := range d.versions[name] {
		gv := schema.GroupVersion{Group: name, Version: v}
		av := apidiscoveryv2.APIVersionDiscovery{Version: v, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
		d.each(gv, func(k *api.Kind, version int) { av.Resources = append(av.Resources, aggregateKind(k, version)) })
		slices.SortFunc(av.Resources, func(a, b apidiscoveryv2.APIResourceDiscovery) int { return strings.Compare(a.Resource, b.Resource) })
		g.Versions = append(g.Versions, av)
	}
	return g
}

func aggregateKind(k *api.Kind, version int) apidiscoveryv2.APIResourceDiscovery {
	gv := k.Versions[version].GroupVersion()
	kind := func(gvk schema.GroupVersionKind) *metav1.GroupVersionKind {
		return &metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
	}
	r := apidiscoveryv2.APIResourceDiscovery{
		Resource: k.Resource, ResponseKind: kind(gv.WithKind(k.Kind)), Scope: apidiscoveryv2.ScopeCluster,
		SingularResource: singular(k), Verbs: kindVerbs(k), ShortNames: k.ShortNames, Categories: k.Categories,
	}
	if k.Namespaced {
		r.Scope = apidiscoveryv2.ScopeNamespace
	}
	for _, sub := range k.SubresourcesOf(version) {
		a := apidiscoveryv2.APISubresourceDiscovery{Subresource: sub.Name, ResponseKind: kind(gv.WithKind(k.Kind)), Verbs: sub.Verbs}
		if sub.Body != nil {
			a.ResponseKind = kind(*sub.Body)
		}
		r.Subresources = append(r.Subresources, a)
	}
	slices.SortFunc(r.Subresources, func(a, b apidiscoveryv2.APISubresourceDiscovery) int {
		return strings.Compare(a.Subresource, b.Subresource)
	})
	return r
}

// serveDiscovery answers /api, /apis and what is directly below; false when the path is none of these.
func (s *Server) serveDiscovery(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method != http.MethodGet && r.Method != http.MethodHead || parts[0] != "api" && parts[0] != "apis" {
		return false
	}
	docs := s.catalog.Load().docs
	o, err := negotiate(r, r.URL.Query())
	aggregated := aggregatedVersion(r.Header.Get("Accept"))
	switch {
	case len(parts) == 1 && aggregated != "" && (parts[0] == "api" || parts[0] == "apis"):
		s.serveAggregated(w, r, parts[0], aggregated)
	case err != nil:
		s.fail(w, r, err)
	case len(parts) == 1 && parts[0] == "api":
		s.object(w, r, o, http.StatusOK, schema.GroupVersionKind{Kind: "APIVersions"}, coreVersions(docs, r))
	case len(parts) == 1 && parts[0] == "apis":
		l := &metav1.APIGroupList{Groups: docs.legacy(s.offers())}
		s.object(w, r, o, http.StatusOK, schema.GroupVersionKind{Version: "v1", Kind: "APIGroupList"}, l)
	case len(parts) == 2 && parts[0] == "apis":
		groups := docs.legacy(s.offers())
		i := slices.IndexFunc(groups, func(g metav1.APIGroup) bool { return g.Name == parts[1] })
		if i < 0 {
			return false
		}
		s.object(w, r, o, http.StatusOK, schema.GroupVersionKind{Version: "v1", Kind: "APIGroup"}, &groups[i])
	case len(parts) == 2 && parts[0] == "api", len(parts) == 3 && parts[0] == "apis":
		gv := schema.GroupVersion{Version: parts[len(parts)-1]}
		if len(parts) == 3 {
			gv.Group = parts[1]
		}
		l := docs.resources(gv)
		if l == nil {
			return false
		}
		s.object(w, r, o, http.StatusOK, schema.GroupVersionKind{Version: "v1", Kind: "APIResourceList"}, l)
	default:
		return false
	}
	return true
}

func coreVersions(docs *documents, r *http.Request) *metav1.APIVersions {
	return &metav1.APIVersions{
		Versions:                   docs.versions[""],
		ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: r.Host}},
	}
}

// aggregatedVersion is the version of apidiscovery.k8s.io that the client accepts first, empty when it wants none.
func aggregatedVersion(accept string) string {
	for _, part := range byQuality(accept) {
		typ, p, err := mime.ParseMediaType(part)
		if err != nil || typ != codec.TypeJSON && typ != codec.TypeProtobuf {
			continue
		}
		if p["g"] == "apidiscovery.k8s.io" && p["as"] == "APIGroupDiscoveryList" && (p["v"] == "v2" || p["v"] == "v2beta1") {
			return p["v"]
		}
		if p["as"] == "" {
			return ""
		}
	}
	return ""
}

// serveAggregated answers in JSON; the two versions have the same fields. The ETag lets clients ask whether anything has
// changed (KEP-3352).
func (s *Server) serveAggregated(w http.ResponseWriter, r *http.Request, root, version string) {
	docs := s.catalog.Load().docs
	core, named := docs.aggregated()
	l := &apidiscoveryv2.APIGroupDiscoveryList{Items: docs.merge(named.Items, s.offers())}
	if root == "api" {
		l = core
	}
	gvk := schema.GroupVersionKind{Group: "apidiscovery.k8s.io", Version: version, Kind: "APIGroupDiscoveryList"}
	b, err := codec.Object(codec.JSON, gvk, l)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	etag := fmt.Sprintf(`"%X"`, sha512.Sum512(b))
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Etag", etag)
	h.Set("Cache-Control", "public")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", fmt.Sprintf("%s;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", codec.TypeJSON, version))
	w.Write(append(b, '\n'))
}
