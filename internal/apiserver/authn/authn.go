// Package authn finds out who sent a request: a client certificate, a
// service account token, a static token, or nobody in particular.
//
// It also issues service account tokens and answers reviews. It sees objects only through request.Reader
// and never the server. Read this file first; token.go says what a token must satisfy.
package authn

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Names that upstream gives to everybody and to nobody.
const (
	Anonymous       = "system:anonymous"
	Unauthenticated = "system:unauthenticated"
	Authenticated   = "system:authenticated"
)

// Options say what identities the server accepts.
type Options struct {
	ClientCAs      *x509.CertPool
	ServiceAccount *ecdsa.PrivateKey        // signs and verifies service account tokens
	Issuer         string                   // DefaultIssuer when empty
	Audiences      []string                 // of the API itself; the issuer when empty
	Static         map[string]*request.User // by bearer token: tests and joining
	FrontProxy     request.Authenticator    // the place of request-header authentication; nil: off
	Extra          []request.Authenticator  // further ones (OIDC), asked before anonymous
	NoAnonymous    bool
}

// Chain asks authenticators in order.
type Chain struct {
	list []request.Authenticator
}

// New makes the server's authenticator and the token authority that it trusts.
func New(r request.Reader, o Options) (*Chain, *Tokens) {
	tokens := NewTokens(r, o.ServiceAccount, o.Issuer, o.Audiences)
	list := []request.Authenticator{}
	if o.FrontProxy != nil {
		list = append(list, o.FrontProxy)
	}
	list = append(list, NewCertificates(o.ClientCAs))
	if len(o.Static) > 0 {
		list = append(list, NewStatic(o.Static))
	}
	list = append(list, tokens)
	list = append(list, o.Extra...)
	if !o.NoAnonymous {
		list = append(list, anonymous{})
	}
	return &Chain{list}, tokens
}

// Authenticate implements request.Authenticator: the first that knows the caller wins. Wrong
// credentials are an error, but only when no other kind of credential proves the caller.
func (c *Chain) Authenticate(r *http.Request) (*request.User, error) {
	var wrong error
	for _, a := range c.list {
		if _, last := a.(anonymous); last && wrong != nil {
			return nil, wrong
		}
		u, err := a.Authenticate(r)
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		if u != nil {
			return withAuthenticated(u), nil
		}
	}
	return nil, wrong
}

// withAuthenticated adds the group of all known users; u is not changed.
func withAuthenticated(u *request.User) *request.User {
	if u.InGroup(Authenticated) || u.InGroup(Unauthenticated) {
		return u
	}
	out := *u
	out.Groups = append(slices.Clone(u.Groups), Authenticated)
	return &out
}

// anonymous is the last in the chain. What it may do is up to authorization: health and version.
type anonymous struct{}

// Authenticate implements request.Authenticator. A bearer token that nobody knew is not anonymous.
func (anonymous) Authenticate(r *http.Request) (*request.User, error) {
	if _, ok := bearer(r); ok {
		return nil, errors.New("bearer token is not valid")
	}
	return &request.User{Name: Anonymous, Groups: []string{Unauthenticated}}, nil
}
