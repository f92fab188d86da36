package apiserver

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// listOptions reads the query of a list or watch.
func listOptions(q url.Values) (metav1.ListOptions, error) {
	o := metav1.ListOptions{
		LabelSelector:        q.Get("labelSelector"),
		FieldSelector:        q.Get("fieldSelector"),
		Watch:                isTrue(q, "watch"),
		AllowWatchBookmarks:  isTrue(q, "allowWatchBookmarks"),
		ResourceVersion:      q.Get("resourceVersion"),
		ResourceVersionMatch: metav1.ResourceVersionMatch(q.Get("resourceVersionMatch")),
		Continue:             q.Get("continue"),
	}
	var err error
	if o.Limit, err = number(q, "limit"); err != nil {
		return o, err
	}
	if q.Has("timeoutSeconds") {
		n, err := number(q, "timeoutSeconds")
		if err != nil {
			return o, err
		}
		o.TimeoutSeconds = &n
	}
	if q.Has("sendInitialEvents") {
		b := isTrue(q, "sendInitialEvents")
		o.SendInitialEvents = &b
	}
	return o, nil
}

func number(q url.Values, key string) (int64, error) {
	v := q.Get(key)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest(err.Error())
	}
	return n, nil
}

// writeOptions reads what all writes share.
func (c *call) writeOptions(q url.Values, userAgent string) error {
	c.manager, c.fieldValidation, c.force = q.Get("fieldManager"), q.Get("fieldValidation"), isTrue(q, "force")
	c.forceSet = q.Has("force")
	c.asked = request.Options{FieldManager: c.manager, FieldValidation: c.fieldValidation}
	if c.manager == "" && !c.applying {
		c.manager = managerOf(userAgent)
	}
	if len(c.manager) > 128 {
		return apierrors.NewBadRequest("fieldManager: Too long: may not be more than 128 bytes")
	}
	switch c.fieldValidation {
	case "", metav1.FieldValidationIgnore, metav1.FieldValidationWarn, metav1.FieldValidationStrict:
	default:
		return apierrors.NewBadRequest(fmt.Sprintf(
			`invalid value for fieldValidation: %q, supported values: "Ignore", "Warn", "Strict"`, c.fieldValidation))
	}
	return c.setDryRun(q["dryRun"])
}

func (c *call) setDryRun(v []string) error {
	for _, d := range v {
		if d != metav1.DryRunAll {
			return apierrors.NewBadRequest(fmt.Sprintf(`Invalid value for dryRun: Unsupported value: %q: supported values: "All"`, d))
		}
		c.dryRun = true
	}
	return nil
}

// managerOf is upstream's default for fieldManager: the product of the user agent.
func managerOf(userAgent string) string {
	for i, r := range userAgent {
		if r == '/' {
			userAgent = userAgent[:i]
			break
		}
	}
	if len(userAgent) > 128 {
		userAgent = userAgent[:128]
	}
	return userAgent
}

// queryDelete reads DELETE's options from the query, where the body has none.
func queryDelete(q url.Values, o *metav1.DeleteOptions) error {
	if q.Has("gracePeriodSeconds") {
		n, err := number(q, "gracePeriodSeconds")
		if err != nil {
			return err
		}
		o.GracePeriodSeconds = &n
	}
	if q.Has("orphanDependents") {
		b := isTrue(q, "orphanDependents")
		o.OrphanDependents = &b
	}
	if p := metav1.DeletionPropagation(q.Get("propagationPolicy")); p != "" {
		o.PropagationPolicy = &p
	}
	o.DryRun = q["dryRun"]
	return nil
}

// watchTimeout is how long a watch lives: as asked, else 30 to 60 minutes.
func watchTimeout(o metav1.ListOptions, spread func() float64) time.Duration {
	if o.TimeoutSeconds != nil && *o.TimeoutSeconds > 0 {
		return time.Duration(*o.TimeoutSeconds) * time.Second
	}
	return time.Duration(float64(30*time.Minute) * (1 + spread()))
}
