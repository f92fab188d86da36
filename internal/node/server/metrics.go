package server

import (
	"fmt"
	"net/http"
	"strings"

	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// metrics writes CPU and memory of node, pods and containers in Prometheus' text format: resource metrics under upstream's
// names, and the few cAdvisor names that dashboards and autoscalers read.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	sum, err := s.node.Summary(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m := &families{}
	if strings.HasSuffix(r.URL.Path, "/cadvisor") {
		cadvisor(m, sum)
	} else {
		resources(m, sum)
		m.add("kubelet_running_pods", "gauge", "", float64(len(sum.Pods)))
		volumes(m, sum)
	}
	_, _ = w.Write([]byte(m.b.String()))
}

// families groups samples under one header each, in the order they came.
type families struct {
	b    strings.Builder
	last string
}

func (f *families) add(name, kind, labels string, v float64) {
	if f.last != name {
		fmt.Fprintf(&f.b, "# TYPE %s %s\n", name, kind)
		f.last = name
	}
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(&f.b, "%s%s %v\n", name, labels, v)
}

func labels(p *statsapi.PodStats, c string) string {
	l := fmt.Sprintf("namespace=%q,pod=%q", p.PodRef.Namespace, p.PodRef.Name)
	if c != "" {
		l = fmt.Sprintf("container=%q,", c) + l
	}
	return l
}

func cpu(c *statsapi.CPUStats) float64 {
	if c == nil || c.UsageCoreNanoSeconds == nil {
		return 0
	}
	return float64(*c.UsageCoreNanoSeconds) / 1e9
}

func memory(m *statsapi.MemoryStats) float64 {
	if m == nil || m.WorkingSetBytes == nil {
		return 0
	}
	return float64(*m.WorkingSetBytes)
}

// resources: names of KEP-727.
func resources(m *families, sum *statsapi.Summary) {
	m.add("node_cpu_usage_seconds_total", "counter", "", cpu(sum.Node.CPU))
	m.add("node_memory_working_set_bytes", "gauge", "", memory(sum.Node.Memory))
	each(sum, "container_cpu_usage_seconds_total", "counter", m, func(c *statsapi.ContainerStats) float64 { return cpu(c.CPU) })
	each(sum, "container_memory_working_set_bytes", "gauge", m, func(c *statsapi.ContainerStats) float64 { return memory(c.Memory) })
	for i := range sum.Pods {
		m.add("pod_cpu_usage_seconds_total", "counter", labels(&sum.Pods[i], ""), cpu(sum.Pods[i].CPU))
	}
	for i := range sum.Pods {
		m.add("pod_memory_working_set_bytes", "gauge", labels(&sum.Pods[i], ""), memory(sum.Pods[i].Memory))
	}
	m.add("resource_scrape_error", "gauge", "", 0)
}

// volumes: what claims lie on, under the names that alerts on full disks read. A claim of several pods is shown once.
func volumes(m *families, sum *statsapi.Summary) {
	for _, f := range []struct {
		name string
		of   func(*statsapi.FsStats) *uint64
	}{
		{"available_bytes", func(s *statsapi.FsStats) *uint64 { return s.AvailableBytes }},
		{"capacity_bytes", func(s *statsapi.FsStats) *uint64 { return s.CapacityBytes }},
		{"inodes", func(s *statsapi.FsStats) *uint64 { return s.Inodes }},
		{"inodes_free", func(s *statsapi.FsStats) *uint64 { return s.InodesFree }},
		{"inodes_used", func(s *statsapi.FsStats) *uint64 { return s.InodesUsed }},
		{"used_bytes", func(s *statsapi.FsStats) *uint64 { return s.UsedBytes }},
	} {
		seen := map[statsapi.PVCReference]bool{}
		for i := range sum.Pods {
			for j := range sum.Pods[i].VolumeStats {
				v := &sum.Pods[i].VolumeStats[j]
				if n := f.of(&v.FsStats); v.PVCRef != nil && n != nil && !seen[*v.PVCRef] {
					seen[*v.PVCRef] = true
					m.add("kubelet_volume_stats_"+f.name, "gauge", fmt.Sprintf("namespace=%q,persistentvolumeclaim=%q", v.PVCRef.Namespace, v.PVCRef.Name), float64(*n))
				}
			}
		}
	}
}

func each(sum *statsapi.Summary, name, kind string, m *families, v func(*statsapi.ContainerStats) float64) {
	for i := range sum.Pods {
		for j := range sum.Pods[i].Containers {
			c := &sum.Pods[i].Containers[j]
			m.add(name, kind, labels(&sum.Pods[i], c.Name), v(c))
		}
	}
}

func cadvisor(m *families, sum *statsapi.Summary) {
	each(sum, "container_cpu_usage_seconds_total", "counter", m, func(c *statsapi.ContainerStats) float64 { return cpu(c.CPU) })
	each(sum, "container_memory_working_set_bytes", "gauge", m, func(c *statsapi.ContainerStats) float64 { return memory(c.Memory) })
	each(sum, "container_memory_rss", "gauge", m, func(c *statsapi.ContainerStats) float64 {
		if c.Memory == nil || c.Memory.RSSBytes == nil {
			return 0
		}
		return float64(*c.Memory.RSSBytes)
	})
	for _, rx := range []bool{true, false} {
		name := "container_network_transmit_bytes_total"
		if rx {
			name = "container_network_receive_bytes_total"
		}
		for i := range sum.Pods {
			n := sum.Pods[i].Network
			if n == nil {
				continue
			}
			for _, d := range n.Interfaces {
				v := d.TxBytes
				if rx {
					v = d.RxBytes
				}
				if v != nil {
					m.add(name, "counter", fmt.Sprintf("interface=%q,", d.Name)+labels(&sum.Pods[i], ""), float64(*v))
				}
			}
		}
	}
}
