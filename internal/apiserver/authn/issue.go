package authn

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Bounds of a requested life, in seconds, as upstream.
const (
	minLife     = 10 * 60
	defaultLife = 60 * 60
	maxLife     = 1 << 32
	// A pod's own token asks for this; it may get more, to survive clients that never reload it.
	podLife         = 60*60 + 7
	extendedPodLife = 365 * 24 * 60 * 60
)

// Request answers a TokenRequest: the subresource "token" of a service account. The body is not changed.
func (t *Tokens) Request(_ context.Context, _ *request.User, namespace, name string, body runtime.Object) (runtime.Object, error) {
	in, ok := body.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("body is a %T, not a TokenRequest", body))
	}
	if t.key == nil {
		return nil, apierrors.NewServiceUnavailable("this server has no key to sign service account tokens with")
	}
	req := in.DeepCopy()
	if req.Spec.ExpirationSeconds == nil {
		life := int64(defaultLife)
		req.Spec.ExpirationSeconds = &life
	}
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = t.audiences
	}
	if errs := validateTokenRequest(&req.Spec); len(errs) > 0 {
		return nil, apierrors.NewInvalid(authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind(), "", errs)
	}
	account, ok := t.objects.get(t.objects.accounts, namespace, name)
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, name)
	}
	if in.Name != "" && in.Name != name || in.Namespace != "" && in.Namespace != namespace {
		return nil, apierrors.NewBadRequest("metadata of the token request does not match the service account")
	}
	private := &privateClaims{Namespace: namespace, Account: ref{account.GetName(), string(account.GetUID())}}
	if err := t.bind(private, req.Spec.BoundObjectRef, name); err != nil {
		return nil, err
	}
	now := t.now()
	end := now.Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second)
	exp := end
	if *req.Spec.ExpirationSeconds == podLife && private.Pod != nil && t.ownAudience(req.Spec.Audiences) {
		exp = now.Add(extendedPodLife * time.Second)
		private.WarnAfter = end.Unix()
	}
	token, err := signES256(t.key, t.kid, &claims{
		Audience: req.Spec.Audiences, Expiry: exp.Unix(), IssuedAt: now.Unix(), NotBefore: now.Unix(),
		Issuer: t.issuer, ID: newUUID(), Subject: serviceAccountName(namespace, name), Private: private,
	})
	if err != nil {
		return nil, fmt.Errorf("sign token: %w", err)
	}
	req.Name, req.Namespace = name, namespace
	req.CreationTimestamp = metav1.NewTime(now)
	req.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(end)}
	return req, nil
}

func (t *Tokens) ownAudience(list []string) bool {
	c := claims{Audience: list}
	_, err := c.intersect(t.audiences)
	return err == nil
}

func validateTokenRequest(s *authenticationv1.TokenRequestSpec) (errs field.ErrorList) {
	path := field.NewPath("spec").Child("expirationSeconds")
	if *s.ExpirationSeconds < minLife {
		errs = append(errs, field.Invalid(path, *s.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
	}
	if *s.ExpirationSeconds > maxLife || *s.ExpirationSeconds > math.MaxInt64/int64(time.Second) {
		errs = append(errs, field.Invalid(path, *s.ExpirationSeconds, "may not specify a duration larger than 2^32 seconds"))
	}
	return errs
}

// bind adds what the token shall live and die with. It must exist now, with the uid asked for.
func (t *Tokens) bind(p *privateClaims, want *authenticationv1.BoundObjectReference, account string) error {
	if want == nil {
		return nil
	}
	var kind *api.Kind
	var namespace = p.Namespace
	gvk := schema.FromAPIVersionAndKind(want.APIVersion, want.Kind)
	switch gvk {
	case corev1.SchemeGroupVersion.WithKind("Pod"):
		kind = t.objects.pods
	case corev1.SchemeGroupVersion.WithKind("Secret"):
		kind = t.objects.secrets
	case corev1.SchemeGroupVersion.WithKind("Node"):
		kind, namespace = t.objects.nodes, ""
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to object %s", account, gvk))
	}
	obj, ok := t.objects.get(kind, namespace, want.Name)
	if !ok {
		return apierrors.NewNotFound(kindResource(kind, gvk), want.Name)
	}
	if want.UID != "" && want.UID != obj.GetUID() {
		return apierrors.NewConflict(kindResource(kind, gvk), want.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", want.UID))
	}
	r := &ref{obj.GetName(), string(obj.GetUID())}
	switch o := obj.(type) {
	case *corev1.Pod:
		if have := o.Spec.ServiceAccountName; have != account {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", account))
		}
		p.Pod = r
		if o.Spec.NodeName != "" {
			p.Node = &ref{Name: o.Spec.NodeName}
			if n, ok := t.objects.get(t.objects.nodes, "", o.Spec.NodeName); ok {
				p.Node.UID = string(n.GetUID())
			}
		}
	case *corev1.Secret:
		p.Secret = r
	case *corev1.Node:
		p.Node = r
	}
	return nil
}

func kindResource(k *api.Kind, gvk schema.GroupVersionKind) schema.GroupResource {
	if k == nil {
		return schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}
	}
	return k.GroupResource()
}

// newUUID is a random UUID (RFC 9562 version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
