// Package stats turns an engine's numbers into the kubelet's summary API.
//
// It is pure: the caller collects. Read Pod first.
package stats

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/volume"
)

// Pod is one pod's statistics. names maps engine ids to container names, started to start times.
func Pod(p *corev1.Pod, s engine.SandboxStats, containers map[string]engine.Container) statsapi.PodStats {
	out := statsapi.PodStats{
		PodRef:     statsapi.PodReference{Name: p.Name, Namespace: p.Namespace, UID: string(p.UID)},
		Containers: []statsapi.ContainerStats{},
		CPU:        CPU(s.Time, s.CPUUsage),
		Memory:     Memory(s.Time, s.MemoryUsage, s.WorkingSet, s.RSS, 0, 0),
		Network:    network(s.Time, s.Interfaces),
	}
	if p.Status.StartTime != nil {
		out.StartTime = *p.Status.StartTime
	}
	out.ProcessStats = &statsapi.ProcessStats{ProcessCount: &s.Pids}
	for _, c := range s.Containers {
		info, ok := containers[c.ID]
		if !ok || info.State != engine.ContainerRunning {
			continue
		}
		used, inodes := c.WritableLayer.Bytes, c.WritableLayer.Inodes
		out.Containers = append(out.Containers, statsapi.ContainerStats{
			Name: info.Config.Name, StartTime: metav1.NewTime(info.Started),
			CPU:    CPU(c.Time, c.CPUUsage),
			Memory: Memory(c.Time, c.MemoryUsage, c.WorkingSet, c.RSS, c.PageFaults, c.MajorPageFaults),
			Rootfs: &statsapi.FsStats{Time: metav1.NewTime(c.Time), UsedBytes: &used, InodesUsed: &inodes},
		})
	}
	return out
}

// Volume is one claim of a pod.
func Volume(at time.Time, namespace string, u volume.Usage) statsapi.VolumeStats {
	return statsapi.VolumeStats{
		Name: u.Volume, PVCRef: &statsapi.PVCReference{Name: u.Claim, Namespace: namespace},
		FsStats: statsapi.FsStats{Time: metav1.NewTime(at), CapacityBytes: &u.Capacity, AvailableBytes: &u.Available, UsedBytes: &u.Used,
			Inodes: &u.Inodes, InodesFree: &u.InodesFree, InodesUsed: &u.InodesUsed},
	}
}

// CPU of something since it started.
func CPU(at time.Time, used time.Duration) *statsapi.CPUStats {
	n := uint64(used)
	return &statsapi.CPUStats{Time: metav1.NewTime(at), UsageCoreNanoSeconds: &n}
}

// Memory of something in bytes.
func Memory(at time.Time, usage, working, rss, faults, major uint64) *statsapi.MemoryStats {
	return &statsapi.MemoryStats{Time: metav1.NewTime(at), UsageBytes: &usage, WorkingSetBytes: &working, RSSBytes: &rss,
		PageFaults: &faults, MajorPageFaults: &major}
}

func network(at time.Time, l []engine.InterfaceStats) *statsapi.NetworkStats {
	if len(l) == 0 {
		return nil
	}
	out := &statsapi.NetworkStats{Time: metav1.NewTime(at)}
	for _, i := range l {
		out.Interfaces = append(out.Interfaces, statsapi.InterfaceStats{Name: i.Name, RxBytes: &i.RxBytes, RxErrors: &i.RxErrors, TxBytes: &i.TxBytes, TxErrors: &i.TxErrors})
	}
	out.InterfaceStats = out.Interfaces[0]
	return out
}
