// Package clienttest proves implementations of client.Conn with one suite, and
// offers Fake: an honest in-memory one for the tests of everything upstairs.
//
// Fake has versions, conflicts, watches, selectors, finalizers and the status
// subresource; it has no admission, and validates only when told to. Read suite.go first.
package clienttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// Fake is an in-memory client.Conn. Use NewFake.
type Fake struct {
	registry *api.Registry

	// Before, when set, is called ahead of every write with "create", "update", "patch", "delete" or "post"
	// (and "/subresource"); its error is the answer. Set it before use.
	Before func(verb string, k *api.Kind, obj api.Object) error
	// OnPost answers Post. Set it before use.
	OnPost func(k *api.Kind, namespace, name, subresource string, body runtime.Object) (runtime.Object, error)

	mu      sync.Mutex
	version uint64
	oldest  uint64 // versions below cannot be watched from
	objects map[*api.Kind]map[types.NamespacedName]api.Object
	log     []change
	changed chan struct{} // closed at the next change
}

type change struct {
	version  uint64
	kind     *api.Kind
	old, obj api.Object // obj of a deletion is nil, and old has the version of the deletion
}

var _ client.Conn = (*Fake)(nil)

// NewFake makes an empty server of the registry's kinds.
func NewFake(r *api.Registry) *Fake {
	return &Fake{registry: r, version: 1, objects: map[*api.Kind]map[types.NamespacedName]api.Object{}, changed: make(chan struct{})}
}

// Registry is client.Conn's.
func (f *Fake) Registry() *api.Registry { return f.registry }

// Compact forgets history: watches from before now expire.
func (f *Fake) Compact() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oldest, f.log = f.version, nil
}

// Seed creates objects as they are, status included, without Before. It panics on errors.
func (f *Fake) Seed(objs ...api.Object) {
	for _, o := range objs {
		if _, err := f.create(f.kindOf(o), o, metav1.CreateOptions{}, true); err != nil {
			panic(err)
		}
	}
}

func (f *Fake) kindOf(o api.Object) *api.Kind {
	for _, k := range f.registry.Kinds() {
		if reflect.TypeOf(k.Hub().New()) == reflect.TypeOf(o) {
			return k
		}
	}
	panic(fmt.Sprintf("clienttest: %T is not registered", o))
}

// Get is client.Conn's.
func (f *Fake) Get(_ context.Context, k *api.Kind, namespace, name string, _ metav1.GetOptions) (api.Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(k, namespace, name)
}

func (f *Fake) get(k *api.Kind, namespace, name string) (api.Object, error) {
	if !k.Namespaced {
		namespace = ""
	}
	o := f.objects[k][types.NamespacedName{Namespace: namespace, Name: name}]
	if o == nil {
		return nil, apierrors.NewNotFound(k.GroupResource(), name)
	}
	return o, nil
}

// List is client.Conn's. Limit is ignored.
func (f *Fake) List(_ context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.List, error) {
	match, err := matcher(k, namespace, o)
	if err != nil {
		return client.List{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := client.List{ResourceVersion: strconv.FormatUint(f.version, 10)}
	for _, obj := range f.objects[k] {
		if match(obj) {
			l.Items = append(l.Items, obj)
		}
	}
	slices.SortFunc(l.Items, func(a, b api.Object) int {
		return strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName())
	})
	return l, nil
}

func matcher(k *api.Kind, namespace string, o metav1.ListOptions) (func(api.Object) bool, error) {
	ls, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	fs, err := fields.ParseSelector(o.FieldSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	for _, r := range fs.Requirements() {
		if k.Fields[r.Field] == nil && r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			return nil, apierrors.NewBadRequest("field label not supported: " + r.Field)
		}
	}
	return func(obj api.Object) bool {
		if obj == nil || namespace != "" && obj.GetNamespace() != namespace || !ls.Matches(labels.Set(obj.GetLabels())) {
			return false
		}
		if fs.Empty() {
			return true
		}
		set := fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace()}
		for name, get := range k.Fields {
			set[name] = get(obj)
		}
		return fs.Matches(set)
	}, nil
}

// commit stores obj (nil: removes old) under the next version and wakes the watches.
func (f *Fake) commit(k *api.Kind, old, obj api.Object) {
	f.version++
	rv := strconv.FormatUint(f.version, 10)
	if f.objects[k] == nil {
		f.objects[k] = map[types.NamespacedName]api.Object{}
	}
	if obj != nil {
		obj.SetResourceVersion(rv)
		f.objects[k][types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}] = obj
	} else {
		delete(f.objects[k], types.NamespacedName{Namespace: old.GetNamespace(), Name: old.GetName()})
		old = old.DeepCopyObject().(api.Object)
		old.SetResourceVersion(rv)
	}
	f.log = append(f.log, change{f.version, k, old, obj})
	close(f.changed)
	f.changed = make(chan struct{})
}

func newUID() types.UID {
	return types.UID(fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", rand.Uint32(), rand.Uint32()&0xffff, rand.Uint32()&0xfff, rand.Uint32()&0xfff, rand.Uint64()&0xffffffffffff))
}

func gvk(k *api.Kind) schema.GroupKind { return k.GroupVersionKind().GroupKind() }
