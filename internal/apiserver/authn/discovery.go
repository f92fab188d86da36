package authn

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
)

// OpenIDConfiguration is the body of /.well-known/openid-configuration (OpenID Connect Discovery 1.0,
// the part that verifiers of tokens need), of type application/json.
func (t *Tokens) OpenIDConfiguration(jwksURI string) ([]byte, error) {
	if jwksURI == "" {
		jwksURI = t.issuer + "/openid/v1/jwks"
	}
	return json.Marshal(struct {
		Issuer    string   `json:"issuer"`
		JWKS      string   `json:"jwks_uri"`
		Responses []string `json:"response_types_supported"`
		Subjects  []string `json:"subject_types_supported"`
		Algs      []string `json:"id_token_signing_alg_values_supported"`
	}{t.issuer, jwksURI, []string{"id_token"}, []string{"public"}, t.algorithms()})
}

func (t *Tokens) algorithms() []string {
	set := map[string]bool{}
	for _, k := range t.keys {
		if _, ok := k.(*rsa.PublicKey); ok {
			set["RS256"] = true
		} else {
			set["ES256"] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

type jwk struct {
	Use string `json:"use"`
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Crv string `json:"crv,omitempty"`
	Alg string `json:"alg"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// JWKS is the body of /openid/v1/jwks (RFC 7517), of type application/jwk-set+json.
func (t *Tokens) JWKS() ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{[]jwk{}}
	for _, kid := range slices.Sorted(maps.Keys(t.keys)) {
		switch key := t.keys[kid].(type) {
		case *ecdsa.PublicKey:
			raw, err := key.Bytes() // 4 ‖ x ‖ y (SEC 1, section 2.3.3)
			if err != nil {
				return nil, err
			}
			n := (len(raw) - 1) / 2
			set.Keys = append(set.Keys, jwk{Use: "sig", Kty: "EC", Kid: kid, Crv: "P-256", Alg: "ES256",
				X: b64.EncodeToString(raw[1 : 1+n]), Y: b64.EncodeToString(raw[1+n:])})
		case *rsa.PublicKey:
			set.Keys = append(set.Keys, jwk{Use: "sig", Kty: "RSA", Kid: kid, Alg: "RS256",
				N: b64.EncodeToString(key.N.Bytes()), E: b64.EncodeToString(big.NewInt(int64(key.E)).Bytes())})
		}
	}
	return json.Marshal(set)
}
