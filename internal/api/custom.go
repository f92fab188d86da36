package api

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Custom is what a kind made from data has beyond others. Its objects are *unstructured.Unstructured that carry their
// kind and apiVersion. They are cached as they were stored, in any of the versions, and all functions of the kind get them in
// the version of the call and look which one it is; only to be stored are they converted to Versions[0]. FromHub
// converts from whichever version an object is in.
type Custom struct {
	// Root is the first kind made from the same definition: it stays when the definition changes and a new Kind takes the
	// place of the old. The first kind's own Root is itself.
	Root *Kind
	// Revision names the content; two kinds with one Root and one Revision are the same.
	Revision string
	// Loaded completes an object that comes from the store as the schema of its version asks.
	Loaded func(*unstructured.Unstructured)
	// ByWebhook: somebody else converts, so it takes time and can fail; ConvertAll does many at once.
	ByWebhook  bool
	ConvertAll func(ctx context.Context, objs []Object, version int) ([]Object, error)
	// Closed says why nothing can be created, empty when it can: the definition is being deleted.
	Closed func() string
	// Schema is the schema of Versions[i] as OpenAPI, of version 2 or 3, without kind, apiVersion and metadata
	// unless the definition speaks of them. Embedded objects refer to the definition of ObjectMeta. It is made anew by each call.
	Schema func(i int, v2 bool) *spec.Schema
}

// Root is k itself, or the first kind made from the same definition.
func (k *Kind) Root() *Kind {
	if k.Custom != nil && k.Custom.Root != nil {
		return k.Custom.Root
	}
	return k
}
