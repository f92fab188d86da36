package apiserver

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

// apply is server-side apply; an object that does not exist is created.
func (s *Server) apply(c *call, data []byte) (*cache.Entry, bool, error) {
	if c.manager == "" {
		return nil, false, apierrors.NewBadRequest("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
	}
	doc, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
	}
	probe := c.ver().New()
	if err := c.decode(0, doc, c.gvk(), probe); err != nil {
		return nil, false, err
	}
	if n := probe.GetName(); n != "" && n != c.name {
		return nil, false, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", n, c.name))
	}
	return s.modify(c, c.sub == nil, func(old api.Object) (api.Object, bool, error) {
		obj, err := s.fields.Apply(c.kind, c.version, c.subresource, old, doc, c.manager, c.force)
		if err != nil {
			return nil, false, err
		}
		if obj.GetName() == "" {
			obj.SetName(c.name)
		}
		return obj, true, matchNamespace(c, obj)
	})
}
