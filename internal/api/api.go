// Package api describes every kind the server serves, as data.
//
// A Kind is the whole difference between one resource and another: names,
// versions, defaults, validation, what an update may change, columns and
// fields. The verbs are written once, in apiserver, over these descriptions.
// One folder below this one is a group, one file a kind; package all lists
// them. This package must not know how kinds are stored or served.
package api

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
)

// Object is any stored API object: a pointer to a struct of k8s.io/api.
// Objects handed out by caches and lists are shared: DeepCopy before changing.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind describes one resource. All functions get objects of the hub version
// (Versions[0]) and may be nil. Kinds are immutable once built.
type Kind struct {
	Kind       string // "Deployment"
	ListKind   string // empty means Kind + "List"
	Resource   string // "deployments"
	Singular   string // "deployment"; empty means lower-case Kind
	ShortNames []string
	Categories []string // "all"
	Namespaced bool

	// Versions are all served versions, the preferred one first. Versions[0] is the hub: its Go type
	// is what is cached, defaulted, validated and stored. Versions may differ in group
	// (events are served in "" and "events.k8s.io").
	Versions []Version

	// Virtual kinds (reviews, bindings) are answered and never stored; Verbs says how.
	Virtual bool
	// Verbs that are served; nil means all of
	// create delete deletecollection get list patch update watch.
	Verbs []string

	// Default fills what the request left out, as upstream's defaulting functions do. It must be idempotent.
	Default func(Object)
	// PrepareCreate resets what a creator may not set (status), before validation.
	PrepareCreate func(Object)
	// PrepareUpdate carries over from old what this update may not touch (status, on
	// a kind with a status subresource), before validation. metadata is done by the server.
	PrepareUpdate func(obj, old Object)
	// HasGeneration: metadata.generation starts at 1 and the server bumps it when anything outside
	// metadata and status changed.
	HasGeneration bool
	// Validate checks everything but ObjectMeta, which the server checks with ValidateName.
	Validate func(Object) field.ErrorList
	// ValidateCreate checks what only new objects may not have; Validate runs as well.
	ValidateCreate func(Object) field.ErrorList
	// ValidateUpdate checks only the transition; Validate runs as well.
	ValidateUpdate func(obj, old Object) field.ErrorList
	// ValidateName checks metadata.name (prefix: it is a generateName); nil means DNS-1123 subdomain.
	ValidateName func(name string, prefix bool) []string
	// Warnings are sent to the client as Warning headers on create and update.
	Warnings func(obj, old Object) []string

	// CreateOnUpdate: PUT to a name that does not exist creates it.
	CreateOnUpdate bool
	// Graceful decides a deletion: the grace period in seconds that obj must be given, 0 to delete at once.
	// nil means 0. requested is nil when the client did not say.
	Graceful func(obj Object, requested *int64) int64
	// DefaultOrphan: dependents are orphaned when the client does not say (replicationcontrollers).
	DefaultOrphan bool
	// BeginDelete changes an object that is about to be marked as being deleted (finalizers, conditions).
	BeginDelete func(Object)

	Subresources []Subresource

	// Columns of `kubectl get`; Cells returns one cell for each column. nil means Name and Age.
	// now is the time to count ages from.
	Columns []metav1.TableColumnDefinition
	Cells   func(obj Object, now time.Time) []any

	// Fields are the selectable fields beyond metadata.name and metadata.namespace.
	Fields map[string]func(Object) string

	// Custom is set on kinds that were made from data at run time.
	Custom *Custom
}

// Version is one served version of a kind.
type Version struct {
	Group   string // "" for core
	Version string // "v1"
	New     func() Object
	NewList func() runtime.Object
	// FromHub and ToHub convert; both nil when this version's Go type is the hub's.
	FromHub func(Object) (Object, error)
	ToHub   func(Object) (Object, error)

	// The rest is for custom resources, whose versions differ in more than a Go type. Where it is nil, the kind's holds.

	// Unserved versions are known, and perhaps stored, but no client can ask for them.
	Unserved bool
	// Deprecation is the warning that every call to a deprecated version is answered with.
	Deprecation  string
	Subresources []Subresource
	Columns      []metav1.TableColumnDefinition
	Cells        func(obj Object, now time.Time) []any
	Fields       map[string]func(Object) string
	// Coerce makes a decoded object fit the schema's structure: unknown fields are dropped and, if asked for, named.
	Coerce func(obj Object, unknown bool) (fields []string, err error)
}

// GroupVersion of the version.
func (v Version) GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: v.Group, Version: v.Version}
}

// Subresource is one path below an object. Exactly one of Status, Scale and Post is set for those
// the generic verbs can serve; the rest (log, exec, proxy …) are connected by name in apiserver.
type Subresource struct {
	Name  string   // "status"
	Verbs []string // "get", "update", "patch", "create"
	// Body is the kind of the request and answer when it is not the parent's.
	Body *schema.GroupVersionKind

	// Prepare makes an update of the parent through this subresource (status, resize, ephemeralcontainers,
	// approval, finalize): it carries over from old everything that this subresource may not change.
	Prepare func(obj, old Object)
	// Validate checks such an update.
	Validate func(obj, old Object) field.ErrorList

	// Scale reads and writes autoscaling/v1 Scale.
	Scale *Scale
}

// Scale maps a kind to autoscaling/v1 Scale. Selector is the string form.
type Scale struct {
	Get func(Object) *autoscalingv1.Scale // metadata is filled in by the server
	Set func(obj Object, replicas int32)
}

// Hub is the version that is cached and stored.
func (k *Kind) Hub() Version { return k.Versions[0] }

// GroupResource of the hub version.
func (k *Kind) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Hub().Group, Resource: k.Resource}
}

// GroupVersionKind of the hub version.
func (k *Kind) GroupVersionKind() schema.GroupVersionKind {
	return k.Hub().GroupVersion().WithKind(k.Kind)
}

// SubresourcesOf are the subresources of Versions[i].
func (k *Kind) SubresourcesOf(i int) []Subresource {
	if v := &k.Versions[i]; v.Subresources != nil {
		return v.Subresources
	}
	return k.Subresources
}

// FieldsOf are the selectable fields of Versions[i].
func (k *Kind) FieldsOf(i int) map[string]func(Object) string {
	if v := &k.Versions[i]; v.Fields != nil {
		return v.Fields
	}
	return k.Fields
}

// ListKindName is the kind of the kind's lists.
func (k *Kind) ListKindName() string {
	if k.ListKind != "" {
		return k.ListKind
	}
	return k.Kind + "List"
}
