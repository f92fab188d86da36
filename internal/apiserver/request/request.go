// Package request holds what the stages of one API call share: who asks, for
// what, and the object on its way in.
//
// authn, authz and admission see a call only through this package; they never
// import the server. The order of the stages is a list in apiserver/write.go.
package request

import (
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
)

// User is an authenticated identity.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}

// InGroup reports membership.
func (u *User) InGroup(g string) bool {
	for _, have := range u.Groups {
		if have == g {
			return true
		}
	}
	return false
}

// Attributes are what authorization decides on.
type Attributes struct {
	User *User
	Verb string // get list watch create update patch delete deletecollection, bind, escalate, impersonate …; lower-case method for non-resource paths

	// A resource request has Resource set; Path is for all others.
	Group, Version, Resource, Subresource string
	Namespace, Name                       string
	Path                                  string

	FieldSelector, LabelSelector string
}

// Decision of an authorizer.
type Decision uint8

// NoOpinion lets the next authorizer decide; if none allows, the call is forbidden.
const (
	NoOpinion Decision = iota
	Allow
	Deny
)

// Authenticator finds out who sent a request. nil, nil means: not mine, ask the next.
// An error means that credentials were given and are wrong (401).
type Authenticator interface {
	Authenticate(r *http.Request) (*User, error)
}

// Authorizer decides whether a call may be made. reason is shown to the caller.
type Authorizer interface {
	Authorize(ctx context.Context, a *Attributes) (d Decision, reason string, err error)
}

// Operation is what a write does, as admission names it.
type Operation string

// The operations.
const (
	Create  Operation = "CREATE"
	Update  Operation = "UPDATE"
	Delete  Operation = "DELETE"
	Connect Operation = "CONNECT"
)

// Write is one write on its way through the stages. Objects are of the hub version.
type Write struct {
	User        *User
	Operation   Operation
	Kind        *api.Kind
	Version     api.Version // asked for by the client
	Subresource string
	Namespace   string
	Name        string         // empty with generateName
	Object      api.Object     // nil for Delete; mutating stages change it in place
	Old         api.Object     // nil for Create; never changed
	Body        runtime.Object // for subresources whose body is not the parent (Binding, Eviction, TokenRequest) and for Connect its options
	DryRun      bool
	Collection  bool // one of a deletecollection: its name was not asked for
	Options     Options
	// Again is set by a mutating step that let others change the object: all run once more, with Pass 2 (KEP-492).
	Again bool
	Pass  int // of the mutating steps: 1 or 2
	// Kept is what steps keep from the first pass to the second, by their names.
	Kept map[string]any
	// Warnings collects texts for Warning headers.
	Warnings []string
	// Annotations are what steps tell the audit log, by "name/key".
	Annotations map[string]string
	// Rollback functions run, newest first, when a later stage or the commit fails (allocations).
	Rollback []func()
}

// Keep stores what a step wants to find in the second pass.
func (w *Write) Keep(step string, v any) {
	if w.Kept == nil {
		w.Kept = map[string]any{}
	}
	w.Kept[step] = v
}

// Annotate tells the audit log.
func (w *Write) Annotate(key, value string) {
	if w.Annotations == nil {
		w.Annotations = map[string]string{}
	}
	w.Annotations[key] = value
}

// Options are what the client chose about a write, as it said it.
type Options struct {
	FieldManager, FieldValidation string
	Delete                        *metav1.DeleteOptions // of a deletion
}

// OptionsObject is the options of the operation as admission is told them: those of meta.k8s.io for it, with
// their kind; nil for Connect. A patch has those of the create or update it comes to.
func (w *Write) OptionsObject() runtime.Object {
	var dry []string
	if w.DryRun {
		dry = []string{metav1.DryRunAll}
	}
	kind := func(k string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: metav1.SchemeGroupVersion.String(), Kind: k}
	}
	o := w.Options
	switch w.Operation {
	case Create:
		return &metav1.CreateOptions{TypeMeta: kind("CreateOptions"), DryRun: dry, FieldManager: o.FieldManager, FieldValidation: o.FieldValidation}
	case Update:
		return &metav1.UpdateOptions{TypeMeta: kind("UpdateOptions"), DryRun: dry, FieldManager: o.FieldManager, FieldValidation: o.FieldValidation}
	case Delete:
		d := &metav1.DeleteOptions{}
		if o.Delete != nil {
			d = o.Delete.DeepCopy()
		}
		d.TypeMeta = kind("DeleteOptions")
		d.DryRun = dry
		return d
	}
	return nil
}

// Step is one admission step: a mutating one changes w.Object, in place or by another, a validating one only looks.
// An error is best an apierrors.StatusError (NewForbidden and so on).
type Step struct {
	Name   string // as upstream names it: "NamespaceLifecycle"
	Mutate func(ctx context.Context, w *Write) error
	// Finish runs once, when all mutating steps are through: it hands out what only this object shall have.
	Finish func(ctx context.Context, w *Write) error
	Check  func(ctx context.Context, w *Write) error
}

// Reader gives stages the current objects without a round trip. What it returns is shared: never change it.
type Reader interface {
	Registry() *api.Registry
	Get(k *api.Kind, namespace, name string) (api.Object, bool)
	// Each calls f for every object of k (in namespace, all when empty) in key order until f returns false.
	Each(k *api.Kind, namespace string, f func(api.Object) bool)
	// OnChange calls f after every committed change of kind k; old is nil for a creation, obj for a deletion. f must not block.
	// It may be called before the server starts only.
	OnChange(k *api.Kind, f func(old, obj api.Object))
}
