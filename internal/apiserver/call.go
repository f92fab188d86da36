package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// call is one API call, wherever it came from.
type call struct {
	ctx         context.Context
	user        *request.User
	verb        string
	kind        *api.Kind
	version     int // index in kind.Versions
	sub         *api.Subresource
	subresource string
	namespace   string
	name        string

	manager         string // fieldManager
	fieldValidation string
	force, forceSet bool
	applying        bool
	dryRun          bool
	trusted         bool // needs no authorization
	inner           bool // part of another call, which was admitted: not asked about again
	collection      bool // one of a deletecollection
	asked           request.Options

	warnings []string
}

func (c *call) ver() api.Version             { return c.kind.Versions[c.version] }
func (c *call) gvk() schema.GroupVersionKind { return c.ver().GroupVersion().WithKind(c.kind.Kind) }
func (c *call) resource() schema.GroupResource {
	return schema.GroupResource{Group: c.ver().Group, Resource: c.kind.Resource}
}
func (c *call) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: c.ver().Group, Kind: c.kind.Kind}
}
func (c *call) warn(texts ...string) { c.warnings = append(c.warnings, texts...) }
func (c *call) key(name string) string {
	return cache.Prefix(c.kind) + cache.ObjectKey(c.namespace, name)
}

// attributes of the call for authorization, with another verb.
func (c *call) attributes(verb string) *request.Attributes {
	return &request.Attributes{
		User: c.user, Verb: verb, Group: c.ver().Group, Version: c.ver().Version, Resource: c.kind.Resource,
		Subresource: c.subresource, Namespace: c.namespace, Name: c.name,
	}
}

// authorize asks the authorizers in order.
func (s *Server) authorize(ctx context.Context, a *request.Attributes) error {
	if len(s.Authorizers) == 0 {
		return nil
	}
	var reason string
	for _, z := range s.Authorizers {
		d, why, err := z.Authorize(ctx, a)
		if why != "" {
			reason = why
		}
		switch {
		case d == request.Allow:
			return nil
		case d == request.Deny:
			return forbidden(a, why)
		case err != nil:
			s.Log.Error("authorize", "err", err)
		}
	}
	return forbidden(a, reason)
}

func subresource(k *api.Kind, version int, name string) *api.Subresource {
	subs := k.SubresourcesOf(version)
	for i := range subs {
		if subs[i].Name == name {
			return &subs[i]
		}
	}
	return nil
}
