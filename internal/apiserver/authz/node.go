package authz

import (
	"context"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"

	local "github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Node authorizes kubelets: what the role system:node lists, and of that, objects that belong to
// somebody only as far as a pod on this very node refers to them
// (reference: "Using Node Authorization").
type Node struct {
	graph *graph
	rules func() []rbacv1.PolicyRule
}

// NewNode makes the authorizer. Call it before the server starts: it listens for changes.
func NewNode(r request.Reader) *Node {
	return &Node{newGraph(r), sync.OnceValue(func() []rbacv1.PolicyRule {
		for _, o := range Bootstrap() {
			if role, ok := o.(*rbacv1.ClusterRole); ok && role.Name == "system:node" {
				return role.Rules
			}
		}
		return nil
	})}
}

// NodeName is the node that a user is, "" for other users: name system:node:x in group system:nodes.
func NodeName(u *request.User) string {
	if u == nil {
		return ""
	}
	name, ok := strings.CutPrefix(u.Name, "system:node:")
	if !ok || !u.InGroup("system:nodes") {
		return ""
	}
	return name
}

const (
	unrelated  = "no relationship found between node '%s' and this object"
	needsName  = "only an object named in the request, or in its field selector, can be read by a node"
	ownOnly    = "node '%s' can only access its own object of this kind"
	needsField = "can only list/watch pods with spec.nodeName field selector"
	needsLabel = "can only list/watch persistent volumes with label selector " + local.LocalPathNode + "=%s"
)

// Authorize implements request.Authorizer. It never denies.
func (z *Node) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	node := NodeName(a.User)
	if node == "" {
		return request.NoOpinion, "", nil
	}
	if why := z.refuse(node, a); why != "" {
		return request.NoOpinion, strings.ReplaceAll(why, "%s", node), nil
	}
	rules := z.rules()
	for i := range rules {
		if allows(&rules[i], a) {
			return request.Allow, "", nil
		}
	}
	return request.NoOpinion, "", nil
}

// refuse says why a call that the role may list is not for this node; "" when it is.
func (z *Node) refuse(node string, a *request.Attributes) string {
	name := a.Name
	if name == "" {
		name = selected(a.FieldSelector, "metadata.name")
	}
	switch a.Group + "/" + a.Resource {
	case "/secrets", "/configmaps":
		if name == "" || a.Namespace == "" {
			return needsName
		}
		return unless(z.graph.refers(node, strings.TrimSuffix(a.Resource, "s"), a.Namespace, name), unrelated)
	case "/persistentvolumeclaims", "resource.k8s.io/resourceclaims":
		return unless(name != "" && z.graph.refers(node, strings.TrimSuffix(a.Resource, "s"), a.Namespace, name), unrelated)
	case "/persistentvolumes":
		// Beyond upstream: a node follows, and lets go of, the volumes that were provisioned on it.
		if a.Verb == "list" || a.Verb == "watch" {
			return unless(selected(a.LabelSelector, local.LocalPathNode) == node, needsLabel)
		}
		return unless(z.graph.holds(node, name) || a.Verb == "get" && z.graph.boundVolume(node, name), unrelated)
	case "storage.k8s.io/volumeattachments":
		return unless(z.graph.attached(node, name), unrelated)
	case "/serviceaccounts":
		// Reading service accounts is not in the role; tokens are.
		return unless(name != "" && z.graph.refers(node, "serviceaccount", a.Namespace, name), unrelated)
	case "/nodes", "storage.k8s.io/csinodes":
		if a.Verb == "create" && name == "" {
			return "" // admission looks at the name in the body
		}
		if a.Verb == "list" || a.Verb == "watch" {
			return unless(a.Resource == "csinodes" || name == node, ownOnly)
		}
		return unless(name == node, ownOnly)
	case "coordination.k8s.io/leases":
		return unless(a.Namespace == "kube-node-lease" && (name == node || a.Verb == "create" && name == ""), ownOnly)
	case "resource.k8s.io/resourceslices":
		if slices.Contains([]string{"list", "watch", "deletecollection"}, a.Verb) {
			return unless(selected(a.FieldSelector, "spec.nodeName") == node, ownOnly)
		}
		return ""
	case "/pods":
		return z.refusePod(node, name, a)
	}
	return ""
}

func (z *Node) refusePod(node, name string, a *request.Attributes) string {
	switch {
	case a.Subresource != "": // status, eviction: admission compares the pod's node
		return ""
	case a.Verb == "get":
		return unless(z.graph.runs(node, a.Namespace, name), unrelated)
	case a.Verb == "list" || a.Verb == "watch":
		return unless(selected(a.FieldSelector, "spec.nodeName") == node || name != "" && z.graph.runs(node, a.Namespace, name), needsField)
	}
	return ""
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// selected is the value that a selector pins a field or a label to, "" when it does not.
func selected(selector, field string) string {
	for term := range strings.SplitSeq(selector, ",") {
		if v, ok := strings.CutPrefix(term, field+"="); ok {
			return strings.TrimPrefix(v, "=")
		}
	}
	return ""
}

var _ = []request.Authorizer{(*Chain)(nil), Masters{}, (*Node)(nil), (*RBAC)(nil)}
