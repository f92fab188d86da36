package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// Compact JWS (RFC 7515) for exactly what service account tokens need: ES256 and RS256 with keys that we hold.
// The algorithm is a property of the key, never of the token.

var b64 = base64.RawURLEncoding.Strict()

// maxToken bounds what is parsed.
const maxToken = 16 << 10

type jwsHeader struct {
	Alg  string   `json:"alg"`
	Kid  string   `json:"kid,omitempty"`
	Crit []string `json:"crit,omitempty"`
}

// keyID is upstream's: base64url of SHA-256 of the key's PKIX form.
func keyID(pkix []byte) string {
	sum := sha256.Sum256(pkix)
	return b64.EncodeToString(sum[:])
}

func signES256(key *ecdsa.PrivateKey, kid string, claims any) (string, error) {
	head, err := json.Marshal(jwsHeader{Alg: "ES256", Kid: kid})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := b64.EncodeToString(head) + "." + b64.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64) // RFC 7518 section 3.4: both numbers, 32 octets each
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64.EncodeToString(sig), nil
}

// jws is a token taken apart, not yet verified.
type jws struct {
	header  jwsHeader
	signed  string
	payload []byte
	sig     []byte
}

func parseJWS(token string) (*jws, error) {
	if len(token) > maxToken {
		return nil, errors.New("token is too long")
	}
	head, rest, ok1 := strings.Cut(token, ".")
	body, tail, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(tail, ".") {
		return nil, errors.New("token has not three parts")
	}
	rawHead, err1 := b64.DecodeString(head)
	payload, err2 := b64.DecodeString(body)
	sig, err3 := b64.DecodeString(tail)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, errors.New("token is not base64url")
	}
	j := &jws{signed: token[:len(head)+1+len(body)], payload: payload, sig: sig}
	if err := json.Unmarshal(rawHead, &j.header); err != nil {
		return nil, errors.New("token header is not JSON")
	}
	if len(j.header.Crit) > 0 {
		return nil, errors.New("token needs extensions that are not known")
	}
	return j, nil
}

// verify checks the signature with one key.
func (j *jws) verify(key crypto.PublicKey) bool {
	sum := sha256.Sum256([]byte(j.signed))
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if j.header.Alg != "ES256" || key.Curve.Params().BitSize != 256 || len(j.sig) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(j.sig[:32]), new(big.Int).SetBytes(j.sig[32:])
		return ecdsa.Verify(key, sum[:], r, s)
	case *rsa.PublicKey:
		return j.header.Alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], j.sig) == nil
	}
	return false
}
