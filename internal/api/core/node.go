package core

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// Node of the core group. A kubelet creates its node with status.
func Node() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Node) *corev1.NodeSpec { return &o.Spec },
		func(o *corev1.Node) *corev1.NodeStatus { return &o.Status })
	return &api.Kind{
		Kind: "Node", Resource: "nodes",
		ShortNames:     []string{"no"},
		Versions:       []api.Version{kit.Served[corev1.Node, corev1.NodeList](corev1.SchemeGroupVersion)},
		Default:        kit.On(nodeDefault),
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(nodeValidate),
		ValidateUpdate: kit.ToBoth(nodeValidateUpdate),
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(nodeValidateStatus)},
			{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "NodeProxyOptions")},
		},
		Fields: map[string]func(api.Object) string{
			"spec.unschedulable": kit.To(func(o *corev1.Node) string { return strconv.FormatBool(o.Spec.Unschedulable) }),
		},
		Columns: nodeColumns(),
		Cells:   kit.Cells(nodeCells),
	}
}

func nodeDefault(o *corev1.Node) {
	poddefault.Round(o.Status.Capacity)
	poddefault.Round(o.Status.Allocatable)
	if o.Status.Allocatable == nil {
		o.Status.Allocatable = o.Status.Capacity.DeepCopy()
	}
	if o.Spec.PodCIDR != "" && len(o.Spec.PodCIDRs) == 0 {
		o.Spec.PodCIDRs = []string{o.Spec.PodCIDR}
	} else if o.Spec.PodCIDR == "" && len(o.Spec.PodCIDRs) > 0 {
		o.Spec.PodCIDR = o.Spec.PodCIDRs[0]
	}
}

func nodeValidate(o *corev1.Node) field.ErrorList {
	errs := append(taints(field.NewPath("metadata", "taints"), o.Spec.Taints), nodeResources(o)...)
	p := field.NewPath("spec", "podCIDRs")
	for i, c := range o.Spec.PodCIDRs {
		errs = append(errs, check.LegacyCIDR(p.Index(i), c)...)
		if slices.Contains(o.Spec.PodCIDRs[:i], c) {
			errs = append(errs, field.Duplicate(p.Index(i), c))
		}
	}
	if len(o.Spec.PodCIDRs) > 1 {
		if dual, err := netutils.IsDualStackCIDRStrings(o.Spec.PodCIDRs); err != nil || !dual || len(o.Spec.PodCIDRs) > 2 {
			errs = append(errs, field.Invalid(p, o.Spec.PodCIDRs, "may specify no more than one CIDR for each IP family"))
		}
	}
	return errs
}

func taints(p *field.Path, list []corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	seen := map[[2]string]bool{}
	for i := range list {
		t, ip := &list[i], p.Index(i)
		errs = append(errs, check.LabelName(ip.Child("key"), t.Key)...)
		if msgs := validation.IsValidLabelValue(t.Value); len(msgs) > 0 {
			errs = append(errs, field.Invalid(ip.Child("value"), t.Value, strings.Join(msgs, ";")))
		}
		errs = append(errs, podspec.TaintEffect(ip.Child("effect"), t.Effect)...)
		id := [2]string{t.Key, string(t.Effect)}
		if seen[id] {
			e := field.Duplicate(ip, *t)
			e.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, e)
		}
		seen[id] = true
	}
	return errs
}

func nodeResources(o *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("status")
	for n, q := range o.Status.Capacity {
		errs = append(errs, check.ResourceQuantity(p.Child("capacity", string(n)), n, q)...)
	}
	for n, q := range o.Status.Allocatable {
		errs = append(errs, check.ResourceQuantity(p.Child("allocatable", string(n)), n, q)...)
	}
	return errs
}

func nodeValidateUpdate(o, old *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("spec")
	if len(old.Spec.PodCIDRs) > 0 && !slices.Equal(o.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(p.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"))
	}
	if old.Spec.ProviderID != "" && o.Spec.ProviderID != old.Spec.ProviderID {
		errs = append(errs, field.Forbidden(p.Child("providerID"), "node updates may not change providerID except from \"\" to valid"))
	}
	return errs
}

func nodeValidateStatus(o, _ *corev1.Node) field.ErrorList {
	errs := nodeResources(o)
	seen := map[corev1.NodeAddress]bool{}
	for i, a := range o.Status.Addresses {
		if seen[a] {
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), a))
		}
		seen[a] = true
	}
	return errs
}

func nodeColumns() []metav1.TableColumnDefinition {
	info, status := corev1.NodeSystemInfo{}.SwaggerDoc(), corev1.NodeStatus{}.SwaggerDoc()
	return slices.Concat(
		kit.Columns(kit.Column("Status", "The status of the node"), kit.Column("Roles", "The roles of the node")),
		[]metav1.TableColumnDefinition{kit.Column("Version", info["kubeletVersion"])},
		kit.Wide(
			kit.Column("Internal-IP", status["addresses"]), kit.Column("External-IP", status["addresses"]),
			kit.Column("OS-Image", info["osImage"]), kit.Column("Kernel-Version", info["kernelVersion"]),
			kit.Column("Container-Runtime", info["containerRuntimeVersion"])))
}

func nodeCells(o *corev1.Node, now time.Time) []any {
	status := "Unknown"
	for _, c := range o.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if o.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	info := &o.Status.NodeInfo
	return []any{
		o.Name, status, kit.Or(nodeRoles(o), "<none>"), kit.Age(o, now), info.KubeletVersion,
		nodeAddress(o, corev1.NodeInternalIP), nodeAddress(o, corev1.NodeExternalIP), kit.Or(info.OSImage, "<unknown>"),
		kit.Or(info.KernelVersion, "<unknown>"), kit.Or(info.ContainerRuntimeVersion, "<unknown>"),
	}
}

func nodeRoles(o *corev1.Node) string {
	roles := map[string]bool{}
	for k, v := range o.Labels {
		if role, ok := strings.CutPrefix(k, "node-role.kubernetes.io/"); ok && role != "" {
			roles[role] = true
		} else if k == "kubernetes.io/role" && v != "" {
			roles[v] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(roles)), ",")
}

func nodeAddress(o *corev1.Node, t corev1.NodeAddressType) string {
	for _, a := range o.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return "<none>"
}
