package crd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apijson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
)

func newer(a, b string) bool { return apiversion.CompareKubeAwareVersionStrings(a, b) > 0 }

// convert gives an object in a version: itself when it is in it, else a new one that fits the version's schema.
func (d *definition) convert(o api.Object, to *version) (api.Object, error) {
	if d.of(o) == to {
		return o, nil
	}
	out, err := d.convertAll(context.Background(), []api.Object{o}, to)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// convertAll is convert for many, with one call where a webhook converts.
func (d *definition) convertAll(ctx context.Context, objs []api.Object, to *version) ([]api.Object, error) {
	var out []api.Object
	if c := d.crd.Spec.Conversion; c != nil && c.Strategy == apiextensionsv1.WebhookConverter {
		var err error
		if out, err = d.ask(ctx, c.Webhook, objs, to.gv); err != nil {
			return nil, err
		}
	} else {
		for _, o := range objs {
			u := o.DeepCopyObject().(*unstructured.Unstructured)
			u.SetAPIVersion(to.gv.String())
			out = append(out, u)
		}
	}
	for _, o := range out {
		if _, err := d.coerce(o.(*unstructured.Unstructured), false, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ask lets the definition's webhook convert (ConversionReview).
func (d *definition) ask(ctx context.Context, w *apiextensionsv1.WebhookConversion, objs []api.Object, to schema.GroupVersion) ([]api.Object, error) {
	from := objs[0].GetObjectKind().GroupVersionKind()
	answer := &apiextensionsv1.ConversionReview{}
	request, err := review(w.ConversionReviewVersions, objs, to)
	if err == nil {
		err = d.call(ctx, webhook.ForConversion(w.ClientConfig), request, answer)
	}
	if err == nil {
		err = judge(request, answer)
	}
	if err != nil {
		return nil, fmt.Errorf("conversion webhook for %v failed: %w", from, err)
	}
	got := answer.Response.ConvertedObjects
	if len(got) != len(objs) {
		return nil, fmt.Errorf("conversion webhook for %v returned %d objects, expected %d", from, len(got), len(objs))
	}
	out := make([]api.Object, len(objs))
	for i := range got {
		u, err := accept(objs[i].(*unstructured.Unstructured), got[i].Raw, to)
		if err != nil {
			return nil, fmt.Errorf("conversion webhook for %v returned invalid converted object at index %d: %w", from, i, err)
		}
		out[i] = u
	}
	return out, nil
}

// review is the question. v1 and v1beta1 look the same.
func review(versions []string, objs []api.Object, to schema.GroupVersion) (*apiextensionsv1.ConversionReview, error) {
	at := slices.IndexFunc(versions, func(v string) bool { return v == "v1" || v == "v1beta1" })
	if at < 0 {
		return nil, fmt.Errorf("no supported conversion review versions: %v", versions)
	}
	r := &apiextensionsv1.ConversionReview{
		TypeMeta: metav1.TypeMeta{Kind: "ConversionReview", APIVersion: apiextensionsv1.GroupName + "/" + versions[at]},
		Request:  &apiextensionsv1.ConversionRequest{UID: types.UID(rand.Text()), DesiredAPIVersion: to.String()},
	}
	for _, o := range objs {
		r.Request.Objects = append(r.Request.Objects, runtime.RawExtension{Object: o})
	}
	return r, nil
}

// judge says whether the answer is one. v1beta1 did not ask for the UID.
func judge(asked, got *apiextensionsv1.ConversionReview) error {
	strict := asked.APIVersion == apiextensionsv1.SchemeGroupVersion.String()
	r := got.Response
	switch {
	case strict && (got.APIVersion != asked.APIVersion || got.Kind != asked.Kind):
		return fmt.Errorf("expected webhook response of %v, got %v", asked.GroupVersionKind(), got.GroupVersionKind())
	case r == nil:
		return errors.New("no response provided")
	case strict && r.UID != asked.Request.UID:
		return fmt.Errorf("expected response.uid=%q, got %q", asked.Request.UID, r.UID)
	case r.Result.Status == metav1.StatusSuccess:
		return nil
	case r.Result.Message != "":
		return errors.New(r.Result.Message)
	}
	return fmt.Errorf("response.result.status was '%s', not 'Success'", r.Result.Status)
}

// accept reads a converted object. Of its metadata only labels and annotations may have changed.
func accept(was *unstructured.Unstructured, raw []byte, to schema.GroupVersion) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	if err := apijson.Unmarshal(raw, &u.Object); err != nil {
		return nil, err
	}
	gvk := u.GroupVersionKind()
	switch {
	case gvk.GroupVersion() != to:
		return nil, fmt.Errorf("invalid groupVersion (expected %v, received %v)", to, gvk.GroupVersion())
	case gvk.Kind != was.GetKind():
		return nil, fmt.Errorf("invalid kind (expected %v, received %v)", was.GetKind(), gvk.Kind)
	case u.GetName() != was.GetName():
		return nil, fmt.Errorf("must have the same name: %v != %v", was.GetName(), u.GetName())
	case u.GetNamespace() != was.GetNamespace():
		return nil, fmt.Errorf("must have the same namespace: %v != %v", was.GetNamespace(), u.GetNamespace())
	case u.GetUID() != was.GetUID():
		return nil, fmt.Errorf("must have the same UID: %v != %v", was.GetUID(), u.GetUID())
	}
	theirs, ok := u.Object["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("missing metadata in converted object")
	}
	ours := map[string]any{}
	if m, ok := was.Object["metadata"].(map[string]any); ok {
		ours = runtime.DeepCopyJSON(m)
	}
	for _, name := range []string{"labels", "annotations"} {
		if err := carry(ours, theirs, name); err != nil {
			return nil, err
		}
	}
	u.Object["metadata"] = ours
	return u, nil
}

// carry takes labels or annotations over.
func carry(ours, theirs map[string]any, name string) error {
	if theirs[name] == nil {
		delete(ours, name)
		return nil
	}
	m, found, err := unstructured.NestedStringMap(theirs, name)
	if err != nil || !found {
		return fmt.Errorf("invalid metadata.%s in converted object: %w", name, err)
	}
	p := field.NewPath("metadata", name)
	var errs field.ErrorList
	if name == "labels" {
		errs = metavalidation.ValidateLabels(m, p)
	} else {
		errs = apivalidation.ValidateAnnotations(m, p)
	}
	if len(errs) > 0 {
		return errs.ToAggregate()
	}
	ours[name] = theirs[name]
	return nil
}
