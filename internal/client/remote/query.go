package remote

import (
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func listQuery(o metav1.ListOptions) url.Values {
	q := url.Values{}
	set(q, "labelSelector", o.LabelSelector)
	set(q, "fieldSelector", o.FieldSelector)
	set(q, "resourceVersion", o.ResourceVersion)
	set(q, "resourceVersionMatch", string(o.ResourceVersionMatch))
	set(q, "continue", o.Continue)
	if o.Limit > 0 {
		set(q, "limit", strconv.FormatInt(o.Limit, 10))
	}
	if o.TimeoutSeconds != nil {
		set(q, "timeoutSeconds", strconv.FormatInt(*o.TimeoutSeconds, 10))
	}
	if o.AllowWatchBookmarks {
		set(q, "allowWatchBookmarks", "true")
	}
	if o.SendInitialEvents != nil {
		set(q, "sendInitialEvents", strconv.FormatBool(*o.SendInitialEvents))
	}
	return q
}

func writeQuery(dryRun []string, manager, validation string) url.Values {
	q := url.Values{}
	for _, d := range dryRun {
		q.Add("dryRun", d)
	}
	set(q, "fieldManager", manager)
	set(q, "fieldValidation", validation)
	return q
}
