package openapi

import (
	"reflect"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// operation is one call. body and answer are nil where there is none that has a schema.
type operation struct {
	method     string // "get"
	action     string // "list"
	id         string
	text       string
	gvk        schema.GroupVersionKind
	params     []param
	body       model
	answer     model
	custom     bool
	tag        string
	namespaced bool
	named      bool
}

type param struct{ name, typ string }

var ( // never changed
	listParams = []param{{"allowWatchBookmarks", "boolean"}, {"continue", "string"}, {"fieldSelector", "string"}, {"labelSelector", "string"},
		{"limit", "integer"}, {"resourceVersion", "string"}, {"resourceVersionMatch", "string"}, {"sendInitialEvents", "boolean"},
		{"timeoutSeconds", "integer"}, {"watch", "boolean"}}
	writeParams  = []param{{"dryRun", "string"}, {"fieldManager", "string"}, {"fieldValidation", "string"}}
	patchParams  = append(slices.Clip(writeParams), param{"force", "boolean"})
	deleteParams = []param{{"dryRun", "string"}, {"gracePeriodSeconds", "integer"}, {"ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"}, {"orphanDependents", "boolean"}, {"propagationPolicy", "string"}}
)

// paths lists all calls of a group version by path.
func (s *Spec) paths(gv schema.GroupVersion) map[string][]operation {
	out := map[string][]operation{}
	for _, k := range s.registry.Kinds() {
		for i, v := range k.Versions {
			if v.GroupVersion() == gv && !v.Unserved {
				s.kindPaths(out, k, i)
			}
		}
	}
	return out
}

func (s *Spec) kindPaths(out map[string][]operation, k *api.Kind, version int) {
	v := k.Versions[version]
	gv := v.GroupVersion()
	tag := idPart(gv)
	base := "/" + pathOf(gv)
	scope := ""
	if k.Namespaced {
		base, scope = base+"/namespaces/{namespace}", "Namespaced"
	}
	collection, item := base+"/"+k.Resource, base+"/"+k.Resource+"/{name}"
	t, list := models(k, version)
	none, deleteOptions, statusType, patchType := model{}, model{t: deleteOptions}, model{t: statusType}, model{t: patchType}
	add := func(path, method, action, verb, mid, suffix string, params []param, body, answer model) {
		about := gv.WithKind(k.Kind)
		if body != none && body != t || answer != none && answer != t {
			if own, ok := bodyKinds()[answer.t]; ok {
				about = own
			}
		}
		o := operation{method: method, action: action, id: verb + tag + mid + scope + k.Kind + suffix, text: sentence(action, k.Kind, suffix), gvk: about,
			params: params, body: body, answer: answer, tag: lowerFirst(tag), custom: k.Custom != nil, namespaced: strings.Contains(path, "{namespace}"), named: strings.Contains(path, "{name}")}
		out[path] = append(out[path], o)
	}
	has := func(verb string) bool { return k.Verbs == nil || slices.Contains(k.Verbs, verb) }
	if has("list") {
		add(collection, "get", "list", "list", "", "", listParams, none, list)
		if k.Namespaced {
			all := "/" + pathOf(gv) + "/" + k.Resource
			out[all] = append(out[all], operation{method: "get", action: "list", id: "list" + tag + k.Kind + "ForAllNamespaces", text: sentence("list", k.Kind, ""),
				gvk: gv.WithKind(k.Kind), params: listParams, answer: list, tag: lowerFirst(tag), custom: k.Custom != nil})
		}
	}
	if has("create") {
		add(collection, "post", "post", "create", "", "", writeParams, t, t)
	}
	if has("deletecollection") {
		add(collection, "delete", "deletecollection", "delete", "Collection", "", append(slices.Clone(listParams[1:9]), deleteParams...), deleteOptions, statusType)
	}
	if has("get") {
		add(item, "get", "get", "read", "", "", nil, none, t)
	}
	if has("update") {
		add(item, "put", "put", "replace", "", "", writeParams, t, t)
	}
	if has("patch") {
		add(item, "patch", "patch", "patch", "", "", patchParams, patchType, t)
	}
	if has("delete") {
		add(item, "delete", "delete", "delete", "", "", deleteParams, deleteOptions, statusType)
	}
	for _, sub := range k.SubresourcesOf(version) {
		path, suffix, body := item+"/"+sub.Name, idWord(sub.Name), subType(sub, t)
		if slices.Contains(sub.Verbs, "get") {
			switch {
			case sub.Name == "log":
				add(path, "get", "get", "read", "", suffix, nil, none, none)
			case body == none:
				add(path, "get", "connect", "connect", "Get", suffix, nil, none, none)
			default:
				add(path, "get", "get", "read", "", suffix, nil, none, body)
			}
		}
		if slices.Contains(sub.Verbs, "create") {
			if body == none {
				add(path, "post", "connect", "connect", "Post", suffix, nil, none, none)
			} else {
				add(path, "post", "post", "create", "", suffix, writeParams, body, body)
			}
		}
		if body != none && slices.Contains(sub.Verbs, "update") {
			add(path, "put", "put", "replace", "", suffix, writeParams, body, body)
		}
		if body != none && slices.Contains(sub.Verbs, "patch") {
			add(path, "patch", "patch", "patch", "", suffix, patchParams, patchType, body)
		}
	}
}

// subType is what travels through a subresource; nil for streams.
func subType(sub api.Subresource, parent model) model {
	if sub.Scale != nil {
		return model{t: reflect.TypeFor[autoscalingv1.Scale]()}
	}
	if sub.Body == nil {
		switch sub.Name {
		case "log", "exec", "attach", "portforward", "proxy":
			return model{}
		}
		return parent
	}
	for t, gvk := range bodyKinds() {
		if gvk == *sub.Body {
			return model{t: t}
		}
	}
	return model{}
}

// bodyKinds are the kinds that only travel through subresources.
func bodyKinds() map[reflect.Type]schema.GroupVersionKind {
	return map[reflect.Type]schema.GroupVersionKind{
		reflect.TypeFor[autoscalingv1.Scale]():           autoscalingv1.SchemeGroupVersion.WithKind("Scale"),
		reflect.TypeFor[corev1.Binding]():                corev1.SchemeGroupVersion.WithKind("Binding"),
		reflect.TypeFor[policyv1.Eviction]():             policyv1.SchemeGroupVersion.WithKind("Eviction"),
		reflect.TypeFor[authenticationv1.TokenRequest](): authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"),
	}
}

func sentence(action, kind, suffix string) string {
	verb := map[string]string{
		"list": "list or watch objects of kind", "post": "create a", "deletecollection": "delete collection of", "get": "read the specified",
		"put": "replace the specified", "patch": "partially update the specified", "delete": "delete a", "connect": "connect to",
	}[action]
	if suffix != "" {
		return verb + " " + lowerFirst(suffix) + " of the specified " + kind
	}
	return verb + " " + kind
}

// idPart is a group version in operation ids: CoreV1, AppsV1, RbacAuthorizationV1.
func idPart(gv schema.GroupVersion) string {
	group := strings.TrimSuffix(gv.Group, ".k8s.io")
	if group == "" {
		group = "core"
	}
	out := ""
	for p := range strings.SplitSeq(group, ".") {
		out += idWord(p)
	}
	return out + idWord(gv.Version)
}

func idWord(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lowerFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToLower(s[:1]) + s[1:]
}
