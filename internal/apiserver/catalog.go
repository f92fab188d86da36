package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// catalog is what is served, as requests find it. It is replaced when kinds come and go, never changed.
type catalog struct {
	routes map[schema.GroupVersion]map[string]route
	docs   *documents
}

// route is one resource of a group version.
type route struct {
	kind    *api.Kind
	version int
}

func newCatalog(kinds []*api.Kind) *catalog {
	c := &catalog{map[schema.GroupVersion]map[string]route{}, newDocuments(kinds)}
	for _, k := range kinds {
		for i, v := range k.Versions {
			if v.Unserved {
				continue
			}
			gv := v.GroupVersion()
			if c.routes[gv] == nil {
				c.routes[gv] = map[string]route{}
			}
			c.routes[gv][k.Resource] = route{k, i}
		}
	}
	return c
}

// Put serves a custom kind: a new one, or one that takes the place of the kind with the same root. When it returns, requests
// find it.
func (s *Server) Put(ctx context.Context, k *api.Kind) error {
	s.putting.Lock()
	defer s.putting.Unlock()
	if err := s.cache.Put(ctx, k); err != nil {
		return err
	}
	old := s.Registry.Current(k)
	if err := s.Registry.Replace(old, k); err != nil {
		s.cache.Remove(k)
		return err
	}
	s.catalog.Store(newCatalog(s.Registry.Kinds()))
	if old != nil {
		s.fields.Forget(old)
	}
	return nil
}

// Remove stops serving a custom kind. What is stored of it stays.
func (s *Server) Remove(k *api.Kind) error {
	s.putting.Lock()
	defer s.putting.Unlock()
	old := s.Registry.Current(k)
	if old == nil {
		return nil
	}
	if err := s.Registry.Replace(old, nil); err != nil {
		return err
	}
	s.catalog.Store(newCatalog(s.Registry.Kinds()))
	s.cache.Remove(old)
	s.fields.Forget(old)
	return nil
}
