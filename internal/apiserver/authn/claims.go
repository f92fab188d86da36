package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// claims of a service account token, in upstream's shape (KEP-1205, KEP-4193). The legacy fields are
// those of tokens in Secrets, which have neither audience nor end.
type claims struct {
	Audience  audiences      `json:"aud,omitempty"`
	Expiry    int64          `json:"exp,omitempty"`
	IssuedAt  int64          `json:"iat,omitempty"`
	Issuer    string         `json:"iss,omitempty"`
	ID        string         `json:"jti,omitempty"`
	Private   *privateClaims `json:"kubernetes.io,omitempty"`
	NotBefore int64          `json:"nbf,omitempty"`
	Subject   string         `json:"sub,omitempty"`

	LegacyNamespace string `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	LegacySecret    string `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
	LegacyAccount   string `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	LegacyUID       string `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
}

type privateClaims struct {
	Namespace string `json:"namespace,omitempty"`
	Node      *ref   `json:"node,omitempty"`
	Pod       *ref   `json:"pod,omitempty"`
	Secret    *ref   `json:"secret,omitempty"`
	Account   ref    `json:"serviceaccount"`
	WarnAfter int64  `json:"warnafter,omitempty"`
}

type ref struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// audiences is one string or a list on the wire (RFC 7519 section 4.1.3); ours is always a list.
type audiences []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// legacyIssuer is the issuer of tokens in Secrets.
const legacyIssuer = "kubernetes/serviceaccount"

const clockSkew = time.Minute // for nbf and iat only: nothing lives longer than it says

func (c *claims) checkTimes(now time.Time) error {
	if c.Expiry == 0 {
		return errors.New("token has no expiry")
	}
	if !now.Before(time.Unix(c.Expiry, 0)) {
		return errors.New("service account token has expired")
	}
	if c.NotBefore != 0 && now.Add(clockSkew).Before(time.Unix(c.NotBefore, 0)) {
		return errors.New("token is not valid yet")
	}
	if c.IssuedAt != 0 && now.Add(clockSkew).Before(time.Unix(c.IssuedAt, 0)) {
		return errors.New("token was issued in the future")
	}
	return nil
}

// intersect is the audiences that are both in the token and accepted, in the order accepted.
func (c *claims) intersect(accepted []string) ([]string, error) {
	var both []string
	for _, a := range accepted {
		if slices.Contains(c.Audience, a) {
			both = append(both, a)
		}
	}
	if len(both) == 0 {
		return nil, fmt.Errorf("token audiences %q is invalid for the target audiences %q", []string(c.Audience), accepted)
	}
	return both, nil
}
