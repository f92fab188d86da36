package authz

import (
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// binding is what authorization needs of a (Cluster)RoleBinding. Immutable.
type binding struct {
	namespace, name string // namespace is empty for a ClusterRoleBinding
	role            rbacv1.RoleRef
	subjects        []subject
}

// subject is who a binding is for; a service account appears as the user that it is.
type subject struct {
	group bool
	name  string
}

// index finds bindings by subject. It follows the Reader's changes.
type index struct {
	seed sync.Once
	fill func()

	mu        sync.RWMutex
	bindings  map[[2]string]*binding
	bySubject map[subject][]*binding // slices are replaced, never changed
}

func newIndex(r request.Reader) *index {
	x := &index{bindings: map[[2]string]*binding{}, bySubject: map[subject][]*binding{}}
	var kinds []*api.Kind
	for _, name := range []string{"clusterrolebindings", "rolebindings"} {
		if k := r.Registry().Resource(schema.GroupResource{Group: rbacv1.GroupName, Resource: name}); k != nil {
			kinds = append(kinds, k)
			r.OnChange(k, x.change)
		}
	}
	x.fill = func() {
		for _, k := range kinds {
			r.Each(k, "", func(o api.Object) bool {
				x.change(nil, o)
				return true
			})
		}
	}
	return x
}

// change takes in one committed change; applying one twice is harmless.
func (x *index) change(old, obj api.Object) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if obj == nil {
		x.remove([2]string{old.GetNamespace(), old.GetName()})
		return
	}
	b := toBinding(obj)
	key := [2]string{b.namespace, b.name}
	x.remove(key)
	x.bindings[key] = b
	for _, s := range b.subjects {
		x.bySubject[s] = append(slices.Clone(x.bySubject[s]), b)
	}
}

func (x *index) remove(key [2]string) {
	b := x.bindings[key]
	if b == nil {
		return
	}
	delete(x.bindings, key)
	for _, s := range b.subjects {
		left := slices.DeleteFunc(slices.Clone(x.bySubject[s]), func(o *binding) bool { return o == b })
		if len(left) == 0 {
			delete(x.bySubject, s)
		} else {
			x.bySubject[s] = left
		}
	}
}

// each calls f for the bindings that apply to the user in namespace, those of the cluster first,
// until f returns false.
func (x *index) each(u *request.User, namespace string, f func(b *binding, by subject) bool) {
	x.seed.Do(x.fill)
	scan := func(ns string) bool {
		for i := -1; i < len(u.Groups); i++ {
			s := subject{name: u.Name}
			if i >= 0 {
				s = subject{group: true, name: u.Groups[i]}
			}
			x.mu.RLock()
			list := x.bySubject[s]
			x.mu.RUnlock()
			for _, b := range list {
				if b.namespace == ns && !f(b, s) {
					return false
				}
			}
		}
		return true
	}
	if scan("") && namespace != "" {
		scan(namespace)
	}
}

func toBinding(o api.Object) *binding {
	b := &binding{namespace: o.GetNamespace(), name: o.GetName()}
	var subjects []rbacv1.Subject
	switch o := o.(type) {
	case *rbacv1.ClusterRoleBinding:
		b.role, subjects = o.RoleRef, o.Subjects
	case *rbacv1.RoleBinding:
		b.role, subjects = o.RoleRef, o.Subjects
	}
	for _, s := range subjects {
		var out subject
		switch s.Kind {
		case rbacv1.UserKind:
			out = subject{name: s.Name}
		case rbacv1.GroupKind:
			out = subject{group: true, name: s.Name}
		case rbacv1.ServiceAccountKind:
			ns := s.Namespace
			if ns == "" {
				ns = b.namespace
			}
			if ns == "" {
				continue
			}
			out = subject{name: serviceAccountPrefix + ns + ":" + s.Name}
		default:
			continue
		}
		if !slices.Contains(b.subjects, out) {
			b.subjects = append(b.subjects, out)
		}
	}
	return b
}

const serviceAccountPrefix = "system:serviceaccount:"

// String names a subject as reasons do: User "jane", ServiceAccount "web/default".
func (s subject) String() string {
	if s.group {
		return `Group "` + s.name + `"`
	}
	if rest, ok := strings.CutPrefix(s.name, serviceAccountPrefix); ok {
		return `ServiceAccount "` + strings.Replace(rest, ":", "/", 1) + `"`
	}
	return `User "` + s.name + `"`
}
