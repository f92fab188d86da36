package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// optimisticLock is upstream's text for a conflict of resourceVersions.
const optimisticLock = "the object has been modified; please apply your changes to the latest version and try again"

// storeError is the table from the store's kinds of errors to API errors.
func storeError(err error, gr schema.GroupResource, name string) error {
	switch fault.Of(err) {
	case fault.NotFound:
		return apierrors.NewNotFound(gr, name)
	case fault.Exists:
		return apierrors.NewAlreadyExists(gr, name)
	case fault.Conflict:
		return apierrors.NewConflict(gr, name, errors.New(optimisticLock))
	case fault.Gone:
		return apierrors.NewResourceExpired(err.Error())
	case fault.Exhausted:
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInsufficientStorage, Reason: metav1.StatusReasonInternalError, Message: err.Error(),
		}}
	case fault.Unavailable:
		return apierrors.NewServiceUnavailable(err.Error())
	}
	return err
}

// statusOf makes any error a Status as upstream's ErrorToAPIStatus does.
func statusOf(err error) *metav1.Status {
	var api apierrors.APIStatus
	if errors.As(err, &api) {
		st := api.Status()
		if st.Status == "" {
			st.Status = metav1.StatusFailure
		}
		if st.Code == 0 {
			st.Code = http.StatusInternalServerError
		}
		return &st
	}
	if errors.Is(err, context.DeadlineExceeded) {
		st := apierrors.NewTimeoutError("request did not complete within requested timeout - context deadline exceeded", 0).Status()
		return &st
	}
	code := int32(http.StatusInternalServerError)
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		st := apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", big.Limit)).Status()
		return &st
	}
	return &metav1.Status{Status: metav1.StatusFailure, Code: code, Message: err.Error()}
}

func forbidden(a *request.Attributes, reason string) error {
	msg := forbiddenMessage(a)
	if reason != "" {
		msg += ": " + reason
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: a.Group, Resource: a.Resource}, a.Name, errors.New(msg))
}

func forbiddenMessage(a *request.Attributes) string {
	if a.Resource == "" {
		return fmt.Sprintf("User %q cannot %s path %q", a.User.Name, a.Verb, a.Path)
	}
	res := a.Resource
	if a.Subresource != "" {
		res += "/" + a.Subresource
	}
	if a.Namespace != "" {
		return fmt.Sprintf("User %q cannot %s resource %q in API group %q in the namespace %q", a.User.Name, a.Verb, res, a.Group, a.Namespace)
	}
	return fmt.Sprintf("User %q cannot %s resource %q in API group %q at the cluster scope", a.User.Name, a.Verb, res, a.Group)
}

// tooLarge is the answer to a resourceVersion that has not come to be yet.
func tooLarge(asked, current int64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", asked, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version",
	}}
	return err
}

func notFoundPath() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Details: &metav1.StatusDetails{}, Message: "the server could not find the requested resource",
	}}
}

func methodNotAllowed() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusMethodNotAllowed, Reason: metav1.StatusReasonMethodNotAllowed,
		Details: &metav1.StatusDetails{}, Message: "the server does not allow this method on the requested resource",
	}}
}
