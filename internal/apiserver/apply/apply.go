// Package apply keeps metadata.managedFields and does server-side apply.
//
// The merge itself is structured-merge-diff behind apimachinery's field
// managers; this package gives them schemas (schema.go) and conversions
// (convert.go). Read this file first.
package apply

import (
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/dhow-project/dhow/internal/api"
)

// Tracker is safe for concurrent use.
type Tracker struct {
	mu       sync.Mutex
	kinds    map[*api.Kind]*versions
	managers map[managerKey]*managedfields.FieldManager
}

type managerKey struct {
	kind        *api.Kind
	version     int
	subresource string
}

// New makes a tracker; schemas are built when first needed.
func New() *Tracker {
	return &Tracker{kinds: map[*api.Kind]*versions{}, managers: map[managerKey]*managedfields.FieldManager{}}
}

func (t *Tracker) manager(k *api.Kind, version int, subresource string) (*managedfields.FieldManager, *versions, error) {
	key := managerKey{k, version, subresource}
	v := t.versions(k)
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.managers[key]
	if m == nil {
		var err error
		if k.Custom != nil {
			own := k.Versions[version].GroupVersion()
			m, err = managedfields.NewDefaultCRDFieldManager(v, v, v, v, v.gvk(version), own, subresource, customResetFields(k, subresource))
		} else {
			m, err = managedfields.NewDefaultFieldManager(v, v, v, v, v.gvk(version), k.Hub().GroupVersion(), subresource, resetFields(k, subresource))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("field manager of %s: %w", k.Kind, err)
		}
		t.managers[key] = m
	}
	return m, v, nil
}

func (t *Tracker) versions(k *api.Kind) *versions {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.kinds[k]
	if v == nil {
		v = newVersions(k)
		t.kinds[k] = v
	}
	return v
}

// Forget lets go of what is kept for a custom kind that has changed or gone.
func (t *Tracker) Forget(k *api.Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.kinds, k)
	for key := range t.managers {
		if key.kind == k {
			delete(t.managers, key)
		}
	}
}

// resetFields are what a write through the endpoint cannot set, so nobody comes to own it there.
func resetFields(k *api.Kind, subresource string) map[fieldpath.APIVersion]fieldpath.Filter {
	hasStatus := false
	for _, s := range k.Subresources {
		hasStatus = hasStatus || s.Name == "status"
	}
	if !hasStatus {
		return nil
	}
	set := fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	if subresource == "status" {
		set = fieldpath.NewSet(fieldpath.MakePathOrDie("spec"),
			fieldpath.MakePathOrDie("metadata", "deletionTimestamp"), fieldpath.MakePathOrDie("metadata", "ownerReferences"))
	} else if subresource != "" {
		return nil
	}
	out := map[fieldpath.APIVersion]fieldpath.Filter{}
	for _, v := range k.Versions {
		out[fieldpath.APIVersion(v.GroupVersion().String())] = fieldpath.NewExcludeSetFilter(set)
	}
	return out
}

// Update notes in obj's managedFields what manager changed since old (nil for a creation). Both are hub objects; old is not changed.
func (t *Tracker) Update(k *api.Kind, version int, subresource string, old, obj api.Object, manager string) error {
	m, _, err := t.manager(k, version, subresource)
	if err != nil {
		return err
	}
	if old == nil {
		old = k.Versions[hub(k, version)].New()
	}
	return t.update(m, old, obj, manager)
}

// update is Update of one manager.
func (t *Tracker) update(m *managedfields.FieldManager, old, obj api.Object, manager string) error {
	before, after := prune(old, obj)
	if out, ok := m.UpdateNoErrors(before, after, manager).(api.Object); ok {
		after = out
	}
	obj.SetManagedFields(after.GetManagedFields())
	return nil
}

// Apply merges the configuration doc (JSON, of Versions[version]) into live (nil when there is none) and returns a
// new hub object with its managedFields settled.
func (t *Tracker) Apply(k *api.Kind, version int, subresource string, live api.Object, doc []byte, manager string, force bool) (api.Object, error) {
	m, v, err := t.manager(k, version, subresource)
	if err != nil {
		return nil, err
	}
	config := &unstructured.Unstructured{Object: map[string]any{}}
	if err := json.Unmarshal(doc, &config.Object); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
	}
	var from runtime.Object
	at := hub(k, version)
	if live == nil {
		live = k.Versions[at].New()
	}
	if from, err = v.convert(live.DeepCopyObject().(api.Object), at, at); err != nil {
		return nil, err
	}
	out, err := m.Apply(from, config, manager, force)
	if err != nil {
		return nil, err
	}
	done, err := v.ConvertToVersion(out, k.Versions[at].GroupVersion())
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	obj := done.(api.Object)
	if obj == live {
		obj = obj.DeepCopyObject().(api.Object)
	}
	if k.Custom == nil {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return obj, nil
}

// hub is the version that objects come in: custom resources come in the version of the call.
func hub(k *api.Kind, version int) int {
	if k.Custom != nil {
		return version
	}
	return 0
}
