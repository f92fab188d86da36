package cache

import (
	"strings"

	"github.com/dhow-project/dhow/internal/api"
)

// Root is the prefix of everything in the store.
const Root = "/registry/"

// special are the resources that upstream keeps under another name than their own
// (k8s.io/kubernetes pkg/kubeapiserver/default_storage_factory_builder.go), and
// the groups that do not belong to the core server, which have the group in front.
var special = map[string]string{
	"replicationcontrollers":             "controllers",
	"endpoints":                          "services/endpoints",
	"services":                           "services/specs",
	"nodes":                              "minions",
	"ingresses.networking.k8s.io":        "ingress",
	"ingressclasses.networking.k8s.io":   "ingressclasses",
	"apiservices.apiregistration.k8s.io": "apiregistration.k8s.io/apiservices",
	"customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/customresourcedefinitions",
}

// Prefix is where objects of k are stored, with a trailing slash.
func Prefix(k *api.Kind) string {
	if p, ok := special[k.GroupResource().String()]; ok {
		return Root + p + "/"
	}
	if k.Custom != nil {
		return Root + k.Hub().Group + "/" + k.Resource + "/"
	}
	return Root + k.Resource + "/"
}

// byKey finds the kind that a store key belongs to: its first segment, or its first two.
func (c *Cache) byKey(key string) (*kindCache, string) {
	rest := strings.TrimPrefix(key, Root)
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return nil, ""
	}
	prefixes := c.index.Load().prefixes
	if k := prefixes[rest[:i]]; k != nil {
		return k, rest[i+1:]
	}
	j := strings.IndexByte(rest[i+1:], '/')
	if j < 0 {
		return nil, ""
	}
	return prefixes[rest[:i+1+j]], rest[i+j+2:]
}
