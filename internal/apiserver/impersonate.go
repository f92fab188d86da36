package apiserver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// impersonate replaces the user as Impersonate-* headers ask, if the real user may do that for every part.
func (s *Server) impersonate(r *http.Request, t *target) error {
	name, groups, uid := r.Header.Get("Impersonate-User"), r.Header["Impersonate-Group"], r.Header.Get("Impersonate-Uid")
	extra := map[string][]string{}
	for h, v := range r.Header {
		if key, ok := strings.CutPrefix(h, "Impersonate-Extra-"); ok {
			key = strings.ToLower(key)
			if dec, err := url.PathUnescape(key); err == nil {
				key = dec
			}
			extra[key] = v
		}
	}
	if name == "" {
		if len(groups) > 0 || uid != "" || len(extra) > 0 {
			return apierrors.NewInternalError(errors.New("requested impersonation without impersonating a user"))
		}
		return nil
	}
	for _, a := range impersonations(t.User, name, groups, uid, extra) {
		if err := s.authorize(r.Context(), &a); err != nil {
			return err
		}
	}
	u := &request.User{Name: name, UID: uid, Groups: groups, Extra: extra}
	if rest, ok := strings.CutPrefix(name, "system:serviceaccount:"); ok && len(groups) == 0 {
		ns, _, _ := strings.Cut(rest, ":")
		u.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + ns}
	}
	if name == "system:anonymous" {
		u.Groups = append(u.Groups[:len(u.Groups):len(u.Groups)], "system:unauthenticated")
	} else if !u.InGroup("system:authenticated") && !u.InGroup("system:unauthenticated") {
		u.Groups = append(u.Groups[:len(u.Groups):len(u.Groups)], "system:authenticated")
	}
	t.User = u
	return nil
}

// impersonations are what must be allowed, as upstream names it.
func impersonations(by *request.User, name string, groups []string, uid string, extra map[string][]string) []request.Attributes {
	a := func(group, resource, sub, namespace, name string) request.Attributes {
		return request.Attributes{User: by, Verb: "impersonate", Group: group, Version: "v1", Resource: resource, Subresource: sub, Namespace: namespace, Name: name}
	}
	var out []request.Attributes
	if rest, ok := strings.CutPrefix(name, "system:serviceaccount:"); ok && strings.Contains(rest, ":") {
		ns, sa, _ := strings.Cut(rest, ":")
		out = append(out, a("", "serviceaccounts", "", ns, sa))
	} else {
		out = append(out, a("", "users", "", "", name))
	}
	for _, g := range groups {
		out = append(out, a("", "groups", "", "", g))
	}
	if uid != "" {
		out = append(out, a("authentication.k8s.io", "uids", "", "", uid))
	}
	for k, vs := range extra {
		for _, v := range vs {
			out = append(out, a("authentication.k8s.io", "userextras", k, "", v))
		}
	}
	return out
}
