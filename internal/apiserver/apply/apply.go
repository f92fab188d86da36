// Package apply keeps managedFields and does server-side apply.
package apply

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/api"
)

// Tracker is safe for concurrent use.
type Tracker struct{}

// New makes a tracker; schemas are built when first needed.
func New() *Tracker { return &Tracker{} }

// Update notes in obj's managedFields what manager changed since old (nil for a creation). Both are hub objects.
func (t *Tracker) Update(k *api.Kind, version int, subresource string, old, obj api.Object, manager string) error {
	if old != nil {
		obj.SetManagedFields(old.GetManagedFields())
	}
	return nil
}

// Apply merges the configuration patch (JSON or YAML, of Versions[version]) into live and returns a new hub object.
func (t *Tracker) Apply(k *api.Kind, version int, subresource string, live api.Object, patch []byte, manager string, force bool) (api.Object, error) {
	return nil, apierrors.NewInternalError(nil)
}
