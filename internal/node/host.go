package node

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// machine is what this host has and is; it does not change while we run.
type machine struct {
	capacity corev1.ResourceList
	info     corev1.NodeSystemInfo
}

// look reads the machine through root ("/").
func look(root, dir string) machine {
	read := func(p string) string {
		b, _ := os.ReadFile(filepath.Join(root, p))
		return strings.TrimSpace(string(b))
	}
	m := machine{capacity: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memTotal(read("proc/meminfo")), resource.BinarySI),
	}}
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil {
		m.capacity[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(int64(st.Blocks)*st.Bsize, resource.BinarySI)
	}
	for _, size := range []string{"2048kB", "1048576kB"} {
		n, err := strconv.ParseInt(read("sys/kernel/mm/hugepages/hugepages-"+size+"/nr_hugepages"), 10, 64)
		if err != nil {
			continue
		}
		name, kb := "2Mi", int64(2048)
		if size != "2048kB" {
			name, kb = "1Gi", 1048576
		}
		m.capacity[corev1.ResourceName(corev1.ResourceHugePagesPrefix+name)] = *resource.NewQuantity(n*kb<<10, resource.BinarySI)
	}
	m.info = corev1.NodeSystemInfo{
		MachineID: read("etc/machine-id"), SystemUUID: read("sys/class/dmi/id/product_uuid"), BootID: read("proc/sys/kernel/random/boot_id"),
		KernelVersion: read("proc/sys/kernel/osrelease"), OSImage: osName(read("etc/os-release")),
		OperatingSystem: "linux", Architecture: runtime.GOARCH,
	}
	if m.info.SystemUUID == "" {
		m.info.SystemUUID = m.info.MachineID
	}
	return m
}

func memTotal(meminfo string) int64 {
	sc := bufio.NewScanner(strings.NewReader(meminfo))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) >= 2 && f[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

func osName(release string) string {
	for line := range bytes.Lines([]byte(release)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}
