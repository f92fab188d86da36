package webhook

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// answer is what a webhook said, whatever the version it said it in.
type answer struct {
	allowed     bool
	patch       []byte
	patchType   admissionv1.PatchType
	status      *metav1.Status
	warnings    []string
	annotations map[string]string
}

// review is one question and its answer in a version of AdmissionReview that the webhook reads.
type review struct {
	uid      types.UID
	question runtime.Object
	answer   runtime.Object // to decode into
}

// newReview asks about the subject in the first version of AdmissionReview the hook names that is known here.
func newReview(k *hook, s *subject, as match.As, v versioned) (*review, error) {
	for _, version := range k.versions {
		switch version {
		case "v1":
			r := admissionRequest(s, as, v)
			return &review{r.UID, &admissionv1.AdmissionReview{TypeMeta: reviewType("v1"), Request: r}, &admissionv1.AdmissionReview{}}, nil
		case "v1beta1":
			r := v1beta1(admissionRequest(s, as, v))
			return &review{r.UID, &admissionv1beta1.AdmissionReview{TypeMeta: reviewType("v1beta1"), Request: r}, &admissionv1beta1.AdmissionReview{}}, nil
		}
	}
	return nil, fmt.Errorf("webhook does not accept known AdmissionReview versions (v1, v1beta1)")
}

func reviewType(version string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: admissionv1.GroupName + "/" + version, Kind: "AdmissionReview"}
}

func admissionRequest(s *subject, as match.As, v versioned) *admissionv1.AdmissionRequest {
	t, dry := s.target, s.w.DryRun
	requestKind, requestResource := metav1.GroupVersionKind(t.Kind), metav1.GroupVersionResource(t.Resource)
	return &admissionv1.AdmissionRequest{
		UID:  newUID(),
		Kind: metav1.GroupVersionKind(as.Kind), Resource: metav1.GroupVersionResource(as.Resource), SubResource: t.Subresource,
		RequestKind: &requestKind, RequestResource: &requestResource, RequestSubResource: t.Subresource,
		Name: t.Name, Namespace: t.Namespace, Operation: admissionv1.Operation(t.Operation), UserInfo: userInfo(s.w.User),
		Object: runtime.RawExtension{Raw: v.objectJSON}, OldObject: runtime.RawExtension{Raw: v.oldJSON},
		DryRun: &dry, Options: runtime.RawExtension{Object: s.w.OptionsObject()},
	}
}

// v1beta1 has the same fields.
func v1beta1(r *admissionv1.AdmissionRequest) *admissionv1beta1.AdmissionRequest {
	return &admissionv1beta1.AdmissionRequest{
		UID: r.UID, Kind: r.Kind, Resource: r.Resource, SubResource: r.SubResource,
		RequestKind: r.RequestKind, RequestResource: r.RequestResource, RequestSubResource: r.RequestSubResource,
		Name: r.Name, Namespace: r.Namespace, Operation: admissionv1beta1.Operation(r.Operation), UserInfo: r.UserInfo,
		Object: r.Object, OldObject: r.OldObject, DryRun: r.DryRun, Options: r.Options,
	}
}

func userInfo(u *request.User) authenticationv1.UserInfo {
	if u == nil {
		return authenticationv1.UserInfo{}
	}
	out := authenticationv1.UserInfo{Username: u.Name, UID: u.UID, Groups: u.Groups}
	for k, v := range u.Extra {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[k] = v
	}
	return out
}

// read checks what the webhook answered.
func (r *review) read(mutating bool) (*answer, error) {
	switch a := r.answer.(type) {
	case *admissionv1.AdmissionReview:
		return r.readV1(a, mutating)
	case *admissionv1beta1.AdmissionReview:
		return readV1beta1(a, mutating)
	}
	return nil, fmt.Errorf("unexpected response type %T", r.answer)
}

func (r *review) readV1(a *admissionv1.AdmissionReview, mutating bool) (*answer, error) {
	in := a.Response
	want := admissionv1.SchemeGroupVersion.WithKind("AdmissionReview")
	switch {
	case in == nil:
		return nil, fmt.Errorf("webhook response was absent")
	case in.UID != r.uid:
		return nil, fmt.Errorf("expected response.uid=%q, got %q", r.uid, in.UID)
	case a.GroupVersionKind() != want:
		return nil, fmt.Errorf("expected webhook response of %v, got %v", want, a.GroupVersionKind())
	}
	if err := patchFits(in, mutating); err != nil {
		return nil, err
	}
	out := &answer{allowed: in.Allowed, patch: in.Patch, status: in.Result, warnings: in.Warnings, annotations: in.AuditAnnotations}
	if in.PatchType != nil {
		out.patchType = *in.PatchType
	}
	return out, nil
}

func patchFits(in *admissionv1.AdmissionResponse, mutating bool) error {
	switch {
	case !mutating && len(in.Patch) > 0:
		return fmt.Errorf("validating webhook may not return response.patch")
	case !mutating && in.PatchType != nil:
		return fmt.Errorf("validating webhook may not return response.patchType")
	case len(in.Patch) > 0 && in.PatchType == nil:
		return fmt.Errorf("webhook returned response.patch but not response.patchType")
	case len(in.Patch) == 0 && in.PatchType != nil:
		return fmt.Errorf("webhook returned response.patchType but not response.patch")
	case in.PatchType != nil && *in.PatchType == "":
		return fmt.Errorf("webhook returned invalid response.patchType of %q", *in.PatchType)
	}
	return nil
}

// readV1beta1 takes what v1 refuses: that version never said what an answer must be.
func readV1beta1(a *admissionv1beta1.AdmissionReview, mutating bool) (*answer, error) {
	in := a.Response
	if in == nil {
		return nil, fmt.Errorf("webhook response was absent")
	}
	out := &answer{allowed: in.Allowed, status: in.Result, warnings: in.Warnings, annotations: in.AuditAnnotations}
	if mutating && len(in.Patch) > 0 {
		out.patch, out.patchType = in.Patch, admissionv1.PatchTypeJSONPatch
	}
	return out, nil
}

// newUID is a random version 4 UUID.
func newUID() types.UID {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return types.UID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}
