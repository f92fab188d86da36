package apiserver

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// target is what a URL names.
type target struct {
	request.Attributes
	resource bool
	rest     string // below the subresource, with leading slash
	watch    bool   // deprecated /watch/ path
}

// parsePath reads the URL forms of the API, as upstream does (k8s.io/apiserver pkg/endpoints/request):
//
//	/api/v1[/watch]/[namespaces/{ns}/]{resource}[/{name}[/{subresource}[/…]]]
//	/apis/{group}/{version}/…
func parsePath(r *http.Request, q url.Values) target {
	t := target{Attributes: request.Attributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)}}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		t.Version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		t.Group, t.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return t
	}
	t.resource = true
	t.Verb = verbs[r.Method]
	if parts[0] == "watch" && len(parts) > 1 {
		t.watch, parts = true, parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 1 {
		t.Namespace = parts[1]
		if len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
			parts = parts[2:]
		}
	}
	t.Resource = parts[0]
	if len(parts) > 1 {
		t.Name = parts[1]
	}
	if len(parts) > 2 {
		t.Subresource = parts[2]
	}
	if len(parts) > 3 || len(parts) == 3 && strings.HasSuffix(r.URL.Path, "/") {
		t.rest = r.URL.Path[strings.Index(r.URL.Path, "/"+parts[1]+"/"+parts[2])+len(parts[1])+len(parts[2])+2:]
	}
	t.collectionVerb(q)
	return t
}

var verbs = map[string]string{
	http.MethodGet: "get", http.MethodHead: "get", http.MethodPost: "create",
	http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// collectionVerb settles what get and delete mean without a name, and what watch selects.
func (t *target) collectionVerb(q url.Values) {
	if t.watch {
		t.Verb = "watch"
		return
	}
	if t.Name != "" {
		return
	}
	switch t.Verb {
	case "get":
		t.Verb = "list"
		if isTrue(q, "watch") {
			t.Verb = "watch"
		}
	case "delete":
		t.Verb = "deletecollection"
	default:
		return
	}
	t.FieldSelector, t.LabelSelector = q.Get("fieldSelector"), q.Get("labelSelector")
	if t.FieldSelector == "" || t.Verb == "deletecollection" {
		return
	}
	if sel, err := fields.ParseSelector(t.FieldSelector); err == nil {
		if name, ok := sel.RequiresExactMatch("metadata.name"); ok {
			t.Name = name
		}
	}
}

// isTrue follows the conversion of query parameters: a present parameter that is not "false" or "0" is true.
func isTrue(q url.Values, key string) bool {
	v, ok := q[key]
	return ok && len(v) > 0 && strings.ToLower(v[0]) != "false" && v[0] != "0"
}
