package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// DefaultIssuer is who tokens say they are from.
const DefaultIssuer = "https://kubernetes.default.svc.cluster.local"

// Keys of User.Extra, as upstream.
const (
	credentialID = "authentication.kubernetes.io/credential-id"
	extraPodName = "authentication.kubernetes.io/pod-name"
	extraPodUID  = "authentication.kubernetes.io/pod-uid"
	extraNode    = "authentication.kubernetes.io/node-name"
	extraNodeUID = "authentication.kubernetes.io/node-uid"
)

// Tokens issues and verifies service account tokens. Safe for concurrent use.
//
// A token is good when: one of our keys signed it; issuer and audience are ours; now is
// between nbf and exp; its service account exists with the same uid; and what it is bound to
// (pod, secret, node) exists with the same uid and has not been deleted for more than a minute.
type Tokens struct {
	objects   objects
	key       *ecdsa.PrivateKey
	kid       string
	keys      map[string]crypto.PublicKey // by key id
	issuer    string
	audiences []string
	now       func() time.Time
	memo      memo[*claims] // of tokens whose signature is good; shared, never changed
}

// NewTokens makes the authority. An empty issuer is DefaultIssuer, no audiences are the issuer.
func NewTokens(r request.Reader, key *ecdsa.PrivateKey, issuer string, audiences []string) *Tokens {
	if issuer == "" {
		issuer = DefaultIssuer
	}
	if len(audiences) == 0 {
		audiences = []string{issuer}
	}
	t := &Tokens{objects: newObjects(r), key: key, keys: map[string]crypto.PublicKey{}, issuer: issuer, audiences: audiences, now: time.Now}
	if key != nil {
		pkix, err := x509.MarshalPKIXPublicKey(key.Public())
		if err == nil { // cannot be otherwise for a key of a known curve
			t.kid = keyID(pkix)
			t.keys[t.kid] = key.Public()
		}
	}
	return t
}

// Trust adds a public key (ECDSA P-256 or RSA) of an earlier signing key. Call it before the server starts.
func (t *Tokens) Trust(key crypto.PublicKey) error {
	pkix, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("trust token key: %w", err)
	}
	t.keys[keyID(pkix)] = key
	return nil
}

// Authenticate implements request.Authenticator. Tokens that are not ours are left to others.
func (t *Tokens) Authenticate(r *http.Request) (*request.User, error) {
	token, ok := bearer(r)
	if !ok {
		return nil, nil
	}
	u, _, err := t.Verify(token, t.audiences)
	return u, err
}

// Verify finds the user of a token for any of the audiences, and which of them it is good for.
// A nil user without an error means: not a token of ours.
func (t *Tokens) Verify(token string, audiences []string) (*request.User, []string, error) {
	c, err := t.claims(token)
	if err != nil || c == nil {
		return nil, nil, err
	}
	if c.Issuer == legacyIssuer {
		return t.verifyLegacy(c, token, audiences)
	}
	if c.Private == nil || c.Subject != serviceAccountName(c.Private.Namespace, c.Private.Account.Name) {
		return nil, nil, errors.New("verify service account token: subject does not match the account")
	}
	if err := c.checkTimes(t.now()); err != nil {
		return nil, nil, fmt.Errorf("verify service account token: %w", err)
	}
	good, err := c.intersect(audiences)
	if err != nil {
		return nil, nil, fmt.Errorf("verify service account token: %w", err)
	}
	if err := t.objects.checkBound(c.Private, t.now()); err != nil {
		return nil, nil, fmt.Errorf("verify service account token: %w", err)
	}
	return boundUser(c), good, nil
}

// claims are those of a token that we signed; nil when it is not one of ours.
func (t *Tokens) claims(token string) (*claims, error) {
	if len(token) > maxToken {
		return nil, nil
	}
	key := sha256.Sum256([]byte(token))
	if c, ok := t.memo.get(key); ok {
		return c, nil
	}
	j, err := parseJWS(token)
	if err != nil {
		return nil, nil
	}
	c := &claims{}
	if json.Unmarshal(j.payload, c) != nil || c.Issuer != t.issuer && c.Issuer != legacyIssuer {
		return nil, nil
	}
	if !t.signed(j) {
		return nil, errors.New("verify service account token: signature is not valid")
	}
	t.memo.put(key, c)
	return c, nil
}

func (t *Tokens) signed(j *jws) bool {
	if j.header.Kid != "" {
		key := t.keys[j.header.Kid]
		return key != nil && j.verify(key)
	}
	for _, key := range t.keys {
		if j.verify(key) {
			return true
		}
	}
	return false
}

// verifyLegacy checks a token that lives in a Secret: it is good for the API's own audience while
// the Secret holds it.
func (t *Tokens) verifyLegacy(c *claims, token string, audiences []string) (*request.User, []string, error) {
	if c.Subject != serviceAccountName(c.LegacyNamespace, c.LegacyAccount) {
		return nil, nil, errors.New("verify service account token: subject does not match the account")
	}
	if err := t.objects.checkLegacy(c, token); err != nil {
		return nil, nil, fmt.Errorf("verify service account token: %w", err)
	}
	own := claims{Audience: t.audiences}
	good, err := own.intersect(audiences)
	if err != nil {
		return nil, nil, fmt.Errorf("verify service account token: %w", err)
	}
	return serviceAccountUser(c.LegacyNamespace, c.LegacyAccount, c.LegacyUID), good, nil
}

func serviceAccountName(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

func serviceAccountUser(namespace, name, uid string) *request.User {
	return &request.User{
		Name:   serviceAccountName(namespace, name),
		UID:    uid,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace},
	}
}

func boundUser(c *claims) *request.User {
	u := serviceAccountUser(c.Private.Namespace, c.Private.Account.Name, c.Private.Account.UID)
	u.Extra = map[string][]string{}
	if c.ID != "" {
		u.Extra[credentialID] = []string{"JTI=" + c.ID}
	}
	if p := c.Private.Pod; p != nil {
		u.Extra[extraPodName], u.Extra[extraPodUID] = []string{p.Name}, []string{p.UID}
	}
	if n := c.Private.Node; n != nil {
		u.Extra[extraNode] = []string{n.Name}
		if n.UID != "" {
			u.Extra[extraNodeUID] = []string{n.UID}
		}
	}
	return u
}
