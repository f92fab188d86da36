package clienttest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/dhow-project/dhow/internal/api"
)

func (f *Fake) before(verb, subresource string, k *api.Kind, obj api.Object) error {
	if f.Before == nil {
		return nil
	}
	if subresource != "" {
		verb += "/" + subresource
	}
	return f.Before(verb, k, obj)
}

// Create is client.Conn's.
func (f *Fake) Create(_ context.Context, k *api.Kind, obj api.Object, o metav1.CreateOptions) (api.Object, error) {
	if err := f.before("create", "", k, obj); err != nil {
		return nil, err
	}
	return f.create(k, obj, o, false)
}

func (f *Fake) create(k *api.Kind, in api.Object, o metav1.CreateOptions, keepStatus bool) (api.Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	obj := in.DeepCopyObject().(api.Object)
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(fmt.Sprintf("%s%05x", obj.GetGenerateName(), rand.Uint32()&0xfffff))
	}
	if obj.GetName() == "" || k.Namespaced != (obj.GetNamespace() != "") {
		return nil, apierrors.NewInvalid(gvk(k), obj.GetName(), nil)
	}
	if obj.GetResourceVersion() != "" && !keepStatus {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if _, err := f.get(k, obj.GetNamespace(), obj.GetName()); err == nil {
		return nil, apierrors.NewAlreadyExists(k.GroupResource(), obj.GetName())
	}
	if !keepStatus && k.PrepareCreate != nil {
		k.PrepareCreate(obj)
	}
	if k.Default != nil {
		k.Default(obj)
	}
	if obj.GetUID() == "" || !keepStatus {
		obj.SetUID(newUID())
	}
	if ts := obj.GetCreationTimestamp(); ts.IsZero() || !keepStatus {
		obj.SetCreationTimestamp(now())
	}
	if !keepStatus {
		obj.SetDeletionTimestamp(nil)
		obj.SetDeletionGracePeriodSeconds(nil)
	}
	if obj.GetGeneration() == 0 && k.HasGeneration {
		obj.SetGeneration(1)
	}
	if err := f.validate(k, obj); err != nil {
		return nil, err
	}
	if len(o.DryRun) == 0 {
		f.commit(k, nil, obj)
	}
	return obj, nil
}

func now() metav1.Time { return metav1.NewTime(time.Now().Truncate(time.Second)) }

func (f *Fake) validate(k *api.Kind, obj api.Object) error {
	if k.Validate == nil {
		return nil
	}
	if errs := k.Validate(obj); len(errs) > 0 {
		return apierrors.NewInvalid(gvk(k), obj.GetName(), errs)
	}
	return nil
}

// Update is client.Conn's.
func (f *Fake) Update(_ context.Context, k *api.Kind, in api.Object, subresource string, o metav1.UpdateOptions) (api.Object, error) {
	if err := f.before("update", subresource, k, in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old, err := f.get(k, in.GetNamespace(), in.GetName())
	if err != nil {
		return nil, err
	}
	return f.replace(k, old, in.DeepCopyObject().(api.Object), subresource, len(o.DryRun) > 0)
}

func (f *Fake) replace(k *api.Kind, old, obj api.Object, subresource string, dryRun bool) (api.Object, error) {
	if rv := obj.GetResourceVersion(); rv != "" && rv != old.GetResourceVersion() {
		return nil, apierrors.NewConflict(k.GroupResource(), obj.GetName(), fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	if uid := obj.GetUID(); uid != "" && uid != old.GetUID() {
		return nil, apierrors.NewConflict(k.GroupResource(), obj.GetName(), fmt.Errorf("precondition failed: UID in precondition: %v, UID in object meta: %v", uid, old.GetUID()))
	}
	if err := prepare(k, old, obj, subresource); err != nil {
		return nil, err
	}
	if k.Default != nil {
		k.Default(obj)
	}
	if err := f.validate(k, obj); err != nil {
		return nil, err
	}
	if dryRun {
		return obj, nil
	}
	obj.SetResourceVersion(old.GetResourceVersion())
	if obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0 && !held(k, obj) && !waitsGrace(obj) {
		f.commit(k, old, nil)
		return obj, nil
	}
	if equality.Semantic.DeepEqual(old, obj) {
		return old, nil
	}
	f.commit(k, old, obj)
	return obj, nil
}

// prepare carries over what this update may not touch.
func prepare(k *api.Kind, old, obj api.Object, subresource string) error {
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	obj.SetGeneration(old.GetGeneration())
	if subresource == "" {
		if k.PrepareUpdate != nil {
			k.PrepareUpdate(obj, old)
		}
		if k.HasGeneration && !sameSpec(old, obj) {
			obj.SetGeneration(old.GetGeneration() + 1)
		}
		return nil
	}
	i := slices.IndexFunc(k.Subresources, func(s api.Subresource) bool { return s.Name == subresource })
	if i < 0 {
		return apierrors.NewNotFound(k.GroupResource(), obj.GetName()+"/"+subresource)
	}
	if p := k.Subresources[i].Prepare; p != nil {
		p(obj, old)
	}
	return nil
}

// sameSpec compares everything outside metadata and status.
func sameSpec(a, b api.Object) bool {
	return equality.Semantic.DeepEqual(spec(a), spec(b))
}

func spec(o api.Object) map[string]any {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		panic(err)
	}
	delete(m, "metadata")
	delete(m, "status")
	return m
}

// Patch is client.Conn's. Apply is not offered.
func (f *Fake) Patch(_ context.Context, k *api.Kind, namespace, name, subresource string, t types.PatchType, data []byte, o metav1.PatchOptions) (api.Object, error) {
	f.mu.Lock()
	old, err := f.get(k, namespace, name)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.before("patch", subresource, k, old); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, err = f.get(k, namespace, name); err != nil {
		return nil, err
	}
	obj, err := patched(k, old, t, data)
	if err != nil {
		return nil, err
	}
	return f.replace(k, old, obj, subresource, len(o.DryRun) > 0)
}

func patched(k *api.Kind, old api.Object, t types.PatchType, data []byte) (api.Object, error) {
	doc, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	switch t {
	case types.MergePatchType:
		doc, err = jsonpatch.MergePatch(doc, data)
	case types.StrategicMergePatchType:
		doc, err = strategicpatch.StrategicMergePatch(doc, data, k.Hub().New())
	case types.JSONPatchType:
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(data); err == nil {
			doc, err = p.Apply(doc)
		}
	default:
		return nil, apierrors.NewGenericServerResponse(415, "patch", k.GroupResource(), old.GetName(), "the fake cannot apply", 0, true)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	obj := k.Hub().New()
	if err := json.Unmarshal(doc, obj); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return obj, nil
}

// Post is client.Conn's; OnPost answers.
func (f *Fake) Post(_ context.Context, k *api.Kind, namespace, name, subresource string, body runtime.Object) (runtime.Object, error) {
	f.mu.Lock()
	old, err := f.get(k, namespace, name)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.before("post", subresource, k, old); err != nil {
		return nil, err
	}
	if f.OnPost == nil {
		return nil, apierrors.NewMethodNotSupported(k.GroupResource(), "post "+subresource)
	}
	return f.OnPost(k, namespace, name, subresource, body)
}
