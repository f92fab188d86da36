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
	Body        runtime.Object // for subresources whose body is not the parent (Binding, Eviction, TokenRequest, Scale)
	DryRun      bool
	Options     metav1.Object // nil
	// Warnings collects texts for Warning headers.
	Warnings []string
	// Rollback functions run, newest first, when a later stage or the commit fails (allocations).
	Rollback []func()
}

// Step is one admission step: a mutating one changes w.Object, a validating one only looks.
// An error is best an apierrors.StatusError (NewForbidden and so on).
type Step struct {
	Name   string // as upstream names it: "NamespaceLifecycle"
	Mutate func(ctx context.Context, w *Write) error
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
