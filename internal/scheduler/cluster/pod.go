package cluster

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Pod is a pod compiled for decisions: everything that is asked for every node is worked out once.
type Pod struct {
	Object   *corev1.Pod
	Requests Resources
	// Scored is Requests with upstream's stand-ins for pods that request nothing (100 m, 200 MiB),
	// so that such pods spread too.
	Scored   Resources
	Ports    []Port
	Priority int32
	Owner    types.UID // of the controller; the pod's own when it has none

	// Required node affinity and selector; nil when there is none.
	Required  *nodeaffinity.RequiredNodeAffinity
	Preferred *nodeaffinity.PreferredSchedulingTerms

	Affinity, AntiAffinity                   []Term
	PreferredAffinity, PreferredAntiAffinity []WeightedTerm
	Spread                                   []Spread
	Claims                                   []Claim

	node string // where it is, in a State
}

// Port is a host port. IP is "0.0.0.0" for all addresses.
type Port struct {
	IP       string
	Protocol corev1.Protocol
	Port     int32
}

// Conflicts reports whether two pods cannot hold both ports on one node.
func (p Port) Conflicts(o Port) bool {
	return p.Port == o.Port && p.Protocol == o.Protocol && (p.IP == o.IP || p.IP == wildcard || o.IP == wildcard)
}

const wildcard = "0.0.0.0"

// Term is a pod affinity term.
type Term struct {
	TopologyKey string
	selector    labels.Selector
	namespaces  map[string]bool
	nsSelector  labels.Selector // nil when not asked for
}

// WeightedTerm is a preferred one.
type WeightedTerm struct {
	Term
	Weight int32
}

// Spread is a topology spread constraint.
type Spread struct {
	TopologyKey string
	MaxSkew     int
	MinDomains  int
	Hard        bool
	Selector    labels.Selector
	// HonorAffinity and HonorTaints say which nodes count as domains.
	HonorAffinity, HonorTaints bool
}

// Compile makes a Pod. It does not fail: what validation let through and cannot be parsed matches nothing.
func Compile(pod *corev1.Pod) *Pod {
	p := &Pod{
		Object:   pod,
		Requests: FromList(resource.PodRequests(pod, resource.PodResourcesOptions{})),
		Scored: FromList(resource.PodRequests(pod, resource.PodResourcesOptions{NonMissingContainerRequests: corev1.ResourceList{
			corev1.ResourceCPU:    *standInCPU(),
			corev1.ResourceMemory: *standInMemory(),
		}})),
		Priority: corev1helpers.PodPriority(pod),
		Owner:    pod.UID,
	}
	if ref := metav1.GetControllerOf(pod); ref != nil {
		p.Owner = ref.UID
	}
	p.Ports, p.Claims = hostPorts(pod), claimsOf(pod)
	if a := pod.Spec.Affinity; len(pod.Spec.NodeSelector) > 0 || a != nil && a.NodeAffinity != nil {
		required := nodeaffinity.GetRequiredNodeAffinity(pod)
		p.Required = &required
	}
	p.compileAffinity(pod.Spec.Affinity)
	p.compileSpread()
	return p
}

func hostPorts(pod *corev1.Pod) []Port {
	var out []Port
	each := func(cs []corev1.Container) {
		for i := range cs {
			for _, port := range cs[i].Ports {
				if port.HostPort <= 0 {
					continue
				}
				ip, protocol := port.HostIP, port.Protocol
				if ip == "" || ip == "::" {
					ip = wildcard
				}
				if protocol == "" {
					protocol = corev1.ProtocolTCP
				}
				out = append(out, Port{ip, protocol, port.HostPort})
			}
		}
	}
	each(pod.Spec.Containers)
	for i := range pod.Spec.InitContainers { // sidecars hold theirs for the pod's life
		if r := pod.Spec.InitContainers[i].RestartPolicy; r != nil && *r == corev1.ContainerRestartPolicyAlways {
			each(pod.Spec.InitContainers[i : i+1])
		}
	}
	return out
}

func (p *Pod) compileAffinity(a *corev1.Affinity) {
	if a == nil {
		return
	}
	if a.NodeAffinity != nil {
		if terms := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(terms) > 0 {
			if preferred, err := nodeaffinity.NewPreferredSchedulingTerms(terms); err == nil {
				p.Preferred = preferred
			}
		}
	}
	if a.PodAffinity != nil {
		p.Affinity = p.terms(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		p.PreferredAffinity = p.weighted(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a.PodAntiAffinity != nil {
		p.AntiAffinity = p.terms(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		p.PreferredAntiAffinity = p.weighted(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func (p *Pod) terms(in []corev1.PodAffinityTerm) []Term {
	out := make([]Term, len(in))
	for i := range in {
		out[i] = p.term(&in[i])
	}
	return out
}

func (p *Pod) weighted(in []corev1.WeightedPodAffinityTerm) []WeightedTerm {
	out := make([]WeightedTerm, len(in))
	for i := range in {
		out[i] = WeightedTerm{p.term(&in[i].PodAffinityTerm), in[i].Weight}
	}
	return out
}

func (p *Pod) term(in *corev1.PodAffinityTerm) Term {
	t := Term{TopologyKey: in.TopologyKey, namespaces: map[string]bool{}}
	t.selector = p.selector(in.LabelSelector, in.MatchLabelKeys, in.MismatchLabelKeys)
	for _, ns := range in.Namespaces {
		t.namespaces[ns] = true
	}
	if in.NamespaceSelector != nil {
		t.nsSelector = p.selector(in.NamespaceSelector, nil, nil)
	} else if len(in.Namespaces) == 0 {
		t.namespaces[p.Object.Namespace] = true
	}
	return t
}

// selector adds the pod's own values of match keys, and excludes those of mismatch keys (KEP-3633).
func (p *Pod) selector(in *metav1.LabelSelector, match, mismatch []string) labels.Selector {
	s, err := metav1.LabelSelectorAsSelector(in)
	if err != nil {
		return labels.Nothing()
	}
	add := func(keys []string, op metav1.LabelSelectorOperator) {
		for _, key := range keys {
			value, ok := p.Object.Labels[key]
			if !ok {
				continue
			}
			extra, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: []string{value}}},
			})
			if err != nil {
				continue
			}
			requirements, _ := extra.Requirements()
			s = s.Add(requirements...)
		}
	}
	add(match, metav1.LabelSelectorOpIn)
	add(mismatch, metav1.LabelSelectorOpNotIn)
	return s
}

func (p *Pod) compileSpread() {
	for _, c := range p.Object.Spec.TopologySpreadConstraints {
		s := Spread{
			TopologyKey:   c.TopologyKey,
			MaxSkew:       int(c.MaxSkew),
			MinDomains:    1,
			Hard:          c.WhenUnsatisfiable == corev1.DoNotSchedule,
			Selector:      p.selector(c.LabelSelector, c.MatchLabelKeys, nil),
			HonorAffinity: c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			HonorTaints:   c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
		}
		if c.MinDomains != nil {
			s.MinDomains = int(*c.MinDomains)
		}
		p.Spread = append(p.Spread, s)
	}
}
