package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"crypto"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

func meta(ns, name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(uid)}
}

func tokenWorld(t testing.TB) (*readertest.Reader, *Tokens) {
	t.Helper()
	r := readertest.New(
		readertest.Kind[corev1.ServiceAccount]("", "v1", "ServiceAccount", "serviceaccounts", true),
		readertest.Kind[corev1.Pod]("", "v1", "Pod", "pods", true),
		readertest.Kind[corev1.Secret]("", "v1", "Secret", "secrets", true),
		readertest.Kind[corev1.Node]("", "v1", "Node", "nodes", false),
	)
	r.Put(
		&corev1.ServiceAccount{ObjectMeta: meta("web", "app", "sa-1")},
		&corev1.Pod{ObjectMeta: meta("web", "app-0", "pod-1"), Spec: corev1.PodSpec{ServiceAccountName: "app", NodeName: "n1"}},
		&corev1.Pod{ObjectMeta: meta("web", "other", "pod-2"), Spec: corev1.PodSpec{ServiceAccountName: "default"}},
		&corev1.Node{ObjectMeta: meta("", "n1", "node-1")},
	)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r, NewTokens(r, key, "", nil)
}

func issue(t testing.TB, tokens *Tokens, spec authenticationv1.TokenRequestSpec) *authenticationv1.TokenRequest {
	t.Helper()
	out, err := tokens.Request(t.Context(), nil, "web", "app", &authenticationv1.TokenRequest{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return out.(*authenticationv1.TokenRequest)
}

var podRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "app-0"}

func TestTokenOfPod(t *testing.T) {
	_, tokens := tokenWorld(t)
	got := issue(t, tokens, authenticationv1.TokenRequestSpec{BoundObjectRef: podRef})
	u, aud, err := tokens.Verify(got.Status.Token, tokens.audiences)
	if err != nil {
		t.Fatal(err)
	}
	if u.Name != "system:serviceaccount:web:app" || u.UID != "sa-1" || !cmp.Equal(u.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:web"}) {
		t.Errorf("user %+v", u)
	}
	if u.Extra[extraPodUID][0] != "pod-1" || u.Extra[extraNodeUID][0] != "node-1" || !strings.HasPrefix(u.Extra[credentialID][0], "JTI=") {
		t.Errorf("extra %v", u.Extra)
	}
	if !cmp.Equal(aud, []string{DefaultIssuer}) {
		t.Errorf("audiences %v", aud)
	}
}

func TestTokenEnds(t *testing.T) {
	for name, end := range map[string]func(r *readertest.Reader, tk *Tokens){
		"expired": func(_ *readertest.Reader, tk *Tokens) {
			at := time.Now().Add(time.Hour)
			tk.now = func() time.Time { return at }
		},
		"not valid yet": func(_ *readertest.Reader, tk *Tokens) {
			at := time.Now().Add(-time.Hour)
			tk.now = func() time.Time { return at }
		},
		"created anew": func(r *readertest.Reader, _ *Tokens) {
			r.Put(&corev1.ServiceAccount{ObjectMeta: meta("web", "app", "sa-2")})
		},
		"does not exist": func(r *readertest.Reader, _ *Tokens) { r.Delete(&corev1.Pod{ObjectMeta: meta("web", "app-0", "")}) },
		"has been deleted": func(r *readertest.Reader, _ *Tokens) {
			p := &corev1.Pod{ObjectMeta: meta("web", "app-0", "pod-1")}
			p.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(-2 * time.Minute)}
			r.Put(p)
		},
		"target audiences": func(_ *readertest.Reader, tk *Tokens) { tk.audiences = []string{"other"} },
	} {
		t.Run(name, func(t *testing.T) {
			r, tokens := tokenWorld(t)
			token := issue(t, tokens, authenticationv1.TokenRequestSpec{BoundObjectRef: podRef}).Status.Token
			end(r, tokens)
			if _, _, err := tokens.Verify(token, tokens.audiences); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTokenForgery(t *testing.T) {
	_, tokens := tokenWorld(t)
	good := issue(t, tokens, authenticationv1.TokenRequestSpec{}).Status.Token
	parts := strings.Split(good, ".")
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	payload, _ := b64.DecodeString(parts[1])
	foreign, _ := signES256(stranger, tokens.kid, json.RawMessage(payload))
	noKid, _ := signES256(stranger, "", json.RawMessage(payload))
	head := func(s string) string { return b64.EncodeToString([]byte(s)) }
	other := strings.Replace(string(payload), "web", "kube-system", -1)
	for name, token := range map[string]string{
		"none":            head(`{"alg":"none"}`) + "." + parts[1] + ".",
		"none, signature": head(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"HS256":           head(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2],
		"other payload":   parts[0] + "." + head(other) + "." + parts[2],
		"zero signature":  parts[0] + "." + parts[1] + "." + b64.EncodeToString(make([]byte, 64)),
		"short signature": parts[0] + "." + parts[1] + "." + b64.EncodeToString(make([]byte, 8)),
		"foreign key":     foreign,
		"foreign, no kid": noKid,
		"unknown kid":     head(`{"alg":"ES256","kid":"x"}`) + "." + parts[1] + "." + parts[2],
	} {
		if u, _, err := tokens.Verify(token, tokens.audiences); u != nil || err == nil {
			t.Errorf("%s: user %v, error %v", name, u, err)
		}
	}
	for _, token := range []string{"", "x", "a.b", "a.b.c", good + ".x", strings.Repeat("a", maxToken+1)} {
		if u, _, _ := tokens.Verify(token, tokens.audiences); u != nil {
			t.Errorf("%.20s: user %v", token, u)
		}
	}
}

func TestTokenRS256OfEarlierKey(t *testing.T) {
	_, tokens := tokenWorld(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Trust(key.Public()); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(issue(t, tokens, authenticationv1.TokenRequestSpec{}).Status.Token, ".")
	signed := b64.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	sig, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if _, _, err := tokens.Verify(signed+"."+b64.EncodeToString(sig), tokens.audiences); err != nil {
		t.Error(err)
	}
}

func TestLegacyToken(t *testing.T) {
	r, tokens := tokenWorld(t)
	token, err := signES256(tokens.key, tokens.kid, &claims{
		Issuer: legacyIssuer, Subject: "system:serviceaccount:web:app",
		LegacyNamespace: "web", LegacyAccount: "app", LegacyUID: "sa-1", LegacySecret: "app-token",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tokens.Verify(token, tokens.audiences); err == nil {
		t.Error("accepted without its secret")
	}
	r.Put(&corev1.Secret{ObjectMeta: meta("web", "app-token", "s"), Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(token)}})
	if u, _, err := tokens.Verify(token, tokens.audiences); err != nil || u.Name != "system:serviceaccount:web:app" {
		t.Errorf("%v, %v", u, err)
	}
}

func TestTokenRequestRefusals(t *testing.T) {
	_, tokens := tokenWorld(t)
	short := int64(599)
	for want, spec := range map[string]authenticationv1.TokenRequestSpec{
		"less than 10 minutes":     {ExpirationSeconds: &short},
		"different serviceaccount": {BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "other"}},
		"does not match the UID":   {BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "app-0", UID: "x"}},
		"cannot bind token":        {BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Job", APIVersion: "batch/v1", Name: "x"}},
		"not found":                {BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: "x"}},
	} {
		if _, err := tokens.Request(t.Context(), nil, "web", "app", &authenticationv1.TokenRequest{Spec: spec}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestChainAnonymous(t *testing.T) {
	r, _ := tokenWorld(t)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	chain, tokens := New(r, Options{ServiceAccount: key})
	req := func(token string) *http.Request {
		r, _ := http.NewRequest("GET", "/", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return r
	}
	if u, err := chain.Authenticate(req("")); err != nil || u.Name != Anonymous || !u.InGroup(Unauthenticated) || u.InGroup(Authenticated) {
		t.Errorf("no credentials: %v, %v", u, err)
	}
	if u, err := chain.Authenticate(req("nonsense")); err == nil {
		t.Errorf("wrong token: %v", u)
	}
	good := issue(t, tokens, authenticationv1.TokenRequestSpec{}).Status.Token
	if u, err := chain.Authenticate(req(good)); err != nil || !u.InGroup(Authenticated) {
		t.Errorf("good token: %v, %v", u, err)
	}
}

func FuzzParseJWS(f *testing.F) {
	f.Add("e30.e30.AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		if j, err := parseJWS(s); err == nil && !strings.HasPrefix(s, j.signed+".") {
			t.Errorf("signed part %q is not the token's", j.signed)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	_, tokens := tokenWorld(b)
	token := issue(b, tokens, authenticationv1.TokenRequestSpec{BoundObjectRef: podRef}).Status.Token
	for b.Loop() {
		if _, _, err := tokens.Verify(token, tokens.audiences); err != nil {
			b.Fatal(err)
		}
	}
}
