package node

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

// maxImages in a Node's status, as upstream.
const maxImages = 50

// status describes this machine now; old keeps transition times and conditions of others.
func (s *self) status(ctx context.Context, old *corev1.Node) corev1.NodeStatus {
	st := *old.Status.DeepCopy()
	st.Capacity, st.Allocatable = s.capacity(), s.allocatable()
	st.NodeInfo = s.look().info
	st.NodeInfo.KubeletVersion = KubeVersion + "+dhow"
	st.NodeInfo.ContainerRuntimeVersion = "dhow://" + s.cfg.Version
	st.DaemonEndpoints.KubeletEndpoint.Port = s.cfg.Port
	st.Addresses = nil
	for _, a := range s.cfg.Addresses {
		st.Addresses = append(st.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a.String()})
	}
	st.Addresses = append(st.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: s.cfg.Name})
	yes := true
	st.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: &yes}
	st.Images = s.images(ctx)

	notReady, networkless := "", ""
	if info, err := s.cfg.Engine.Info(ctx); err != nil {
		notReady = "container engine is down: " + err.Error()
	} else {
		notReady, networkless = info.NotReady, info.NetworkNotReady
	}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	switch {
	case notReady != "":
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "KubeletNotReady", "container runtime is not ready: "+notReady
	case networkless != "":
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "KubeletNotReady", "container runtime network not ready: "+networkless
	}
	for _, c := range []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", Message: "kubelet has sufficient memory available"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", Message: "kubelet has no disk pressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID", Message: "kubelet has sufficient PID available"},
		ready,
	} {
		setCondition(&st, c, time.Now())
	}
	return st
}

func setCondition(st *corev1.NodeStatus, c corev1.NodeCondition, now time.Time) {
	c.LastHeartbeatTime, c.LastTransitionTime = metav1.NewTime(now), metav1.NewTime(now)
	for i := range st.Conditions {
		o := &st.Conditions[i]
		if o.Type != c.Type {
			continue
		}
		if o.Status == c.Status {
			c.LastTransitionTime = o.LastTransitionTime
		}
		*o = c
		return
	}
	st.Conditions = append(st.Conditions, c)
}

// images are the largest present images.
func (s *self) images(ctx context.Context) (out []corev1.ContainerImage) {
	l, err := s.cfg.Engine.ListImages(ctx)
	if err != nil {
		return nil
	}
	slices.SortFunc(l, func(a, b engine.Image) int { return int(b.Size>>10) - int(a.Size>>10) })
	for _, i := range l[:min(len(l), maxImages)] {
		if names := append(slices.Clone(i.Digests), i.Tags...); len(names) > 0 {
			out = append(out, corev1.ContainerImage{Names: names, SizeBytes: i.Size})
		}
	}
	return out
}
