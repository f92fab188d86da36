// Package cluster is what the scheduler knows of the cluster: nodes, and the pods on them,
// kept up to date change by change.
//
// A State belongs to one goroutine. It knows nothing of the API or of rules.
// Read state.go, then pod.go.
package cluster

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Node is a node and what its pods take of it.
type Node struct {
	Object      *corev1.Node // nil while only its pods are known
	Allocatable Resources
	MaxPods     int
	Requested   Resources
	Scored      Resources
	Pods        map[types.UID]*Pod
	Owners      map[types.UID]int // pods for each controller
	Ports       []Port
}

// State is all nodes and all assigned pods.
type State struct {
	nodes  map[string]*Node
	usable []*Node // those with an object, in order of arrival
	pods   map[types.UID]*Pod
	// picky are the assigned pods with required anti-affinity: only they can object to a newcomer.
	picky map[types.UID]*Pod
	// NamespaceLabels serves namespace selectors.
	namespaceLabels func(string) labels.Set
	storage         Storage
	users           map[types.NamespacedName]map[types.UID]bool // assigned pods by claim
	promised        map[string]types.UID                        // volumes kept for a pod
}

// New makes an empty state. namespaceLabels answers with the labels of a namespace.
func New(namespaceLabels func(string) labels.Set) *State {
	return &State{
		nodes: map[string]*Node{}, pods: map[types.UID]*Pod{}, picky: map[types.UID]*Pod{},
		namespaceLabels: namespaceLabels,
		users:           map[types.NamespacedName]map[types.UID]bool{}, promised: map[string]types.UID{},
	}
}

// Nodes are all nodes that exist. The slice must not be changed.
func (s *State) Nodes() []*Node { return s.usable }

// Picky are the assigned pods with required anti-affinity.
func (s *State) Picky() map[types.UID]*Pod { return s.picky }

// NodeOf finds the node a pod of this state is on; nil when the node is gone.
func (s *State) NodeOf(p *Pod) *Node { return s.nodes[p.node] }

// Node finds a node that exists by name, else nil.
func (s *State) Node(name string) *Node {
	if n := s.nodes[name]; n != nil && n.Object != nil {
		return n
	}
	return nil
}

// Pod finds an assigned pod.
func (s *State) Pod(uid types.UID) *Pod { return s.pods[uid] }

// SetNode adds or replaces a node.
func (s *State) SetNode(object *corev1.Node) {
	n := s.node(object.Name)
	if n.Object == nil {
		s.usable = append(s.usable, n)
	}
	n.Object = object
	n.Allocatable = FromList(object.Status.Allocatable)
	pods := object.Status.Allocatable[corev1.ResourcePods]
	n.MaxPods = int(pods.Value())
}

// RemoveNode forgets a node; its pods stay known until they are removed.
func (s *State) RemoveNode(name string) {
	n := s.nodes[name]
	if n == nil {
		return
	}
	for i, u := range s.usable {
		if u == n {
			s.usable = append(append([]*Node(nil), s.usable[:i]...), s.usable[i+1:]...)
			break
		}
	}
	n.Object = nil
	s.sweep(name, n)
}

func (s *State) node(name string) *Node {
	n := s.nodes[name]
	if n == nil {
		n = &Node{Pods: map[types.UID]*Pod{}, Owners: map[types.UID]int{}}
		s.nodes[name] = n
	}
	return n
}

func (s *State) sweep(name string, n *Node) {
	if n.Object == nil && len(n.Pods) == 0 {
		delete(s.nodes, name)
	}
}

// Assign puts a pod on a node, replacing what was known under its UID.
func (s *State) Assign(p *Pod, node string) {
	uid := p.Object.UID
	s.Remove(uid)
	n := s.node(node)
	p.node = node
	s.pods[uid], n.Pods[uid] = p, p
	if len(p.AntiAffinity) > 0 {
		s.picky[uid] = p
	}
	n.Requested.add(p.Requests, 1)
	n.Scored.add(p.Scored, 1)
	n.Owners[p.Owner]++
	n.Ports = append(n.Ports, p.Ports...)
	s.use(p)
}

// Remove forgets a pod and returns what was known, nil if nothing was.
func (s *State) Remove(uid types.UID) *Pod {
	p := s.pods[uid]
	if p == nil {
		return nil
	}
	delete(s.pods, uid)
	delete(s.picky, uid)
	s.leave(p)
	n := s.nodes[p.node]
	delete(n.Pods, uid)
	n.Requested.add(p.Requests, -1)
	n.Scored.add(p.Scored, -1)
	if n.Owners[p.Owner]--; n.Owners[p.Owner] == 0 {
		delete(n.Owners, p.Owner)
	}
	if len(p.Ports) > 0 {
		n.Ports = nil
		for _, other := range n.Pods {
			n.Ports = append(n.Ports, other.Ports...)
		}
	}
	s.sweep(p.node, n)
	return p
}

// Matches reports whether a term selects a pod.
func (s *State) Matches(t *Term, pod *corev1.Pod) bool {
	if !t.namespaces[pod.Namespace] && (t.nsSelector == nil || !t.nsSelector.Matches(s.namespaceLabels(pod.Namespace))) {
		return false
	}
	return t.selector.Matches(labels.Set(pod.Labels))
}

func standInCPU() *resource.Quantity    { return resource.NewMilliQuantity(100, resource.DecimalSI) }
func standInMemory() *resource.Quantity { return resource.NewQuantity(200<<20, resource.BinarySI) }
