package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dhow-project/dhow/internal/config"
)

// What `dhow down --purge` promises: the host is as it was before the first start, whatever ran and
// however it ended.
func TestPurgeLeavesNothing(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(*testing.T, *cluster)
	}{
		{"everything runs", func(*testing.T, *cluster) {}},
		{"stopped before", func(t *testing.T, c *cluster) { c.dhow(t, "down") }},
		{"daemon killed", func(t *testing.T, c *cluster) { c.kill(t, "dhow") }},
		{"daemon and keeper killed", func(t *testing.T, c *cluster) { c.kill(t, "dhow"); c.kill(t, "dhow-keeper") }},
	} {
		t.Run(how.name, func(t *testing.T) {
			c := newCluster(t)
			before, err := look()
			if err != nil {
				t.Fatal(err)
			}
			c.dhow(t, "up", "-d")
			c.work(t)
			how.end(t, c)
			c.dhow(t, "down", "--purge")
			after, err := look()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range after.since(before) {
				if !shared() || c.owns(d) {
					t.Error(d)
				}
			}
		})
	}
}

// cluster is one that the test starts, with a home directory of its own that has a kubeconfig already.
type cluster struct{ name, bin string }

var number int

const userKubeconfig = `apiVersion: v1
kind: Config
# of a user who likes comments
clusters:
- name: other
  cluster: {server: "https://other.example"}
contexts:
- name: other
  context: {cluster: other, user: other}
current-context: other
users:
- name: other
  user: {token: secret}
`

func newCluster(t *testing.T) *cluster {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI must not skip this: it needs root")
		}
		t.Skip("starts a cluster, which needs root")
	}
	bin, err := filepath.Abs("../../bin/dhow")
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		t.Fatal(err, ": run 'make build' first")
	}
	number++
	c := &cluster{name: fmt.Sprintf("t%d-%d", os.Getpid(), number), bin: bin}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("DHOW_NAME", c.name)
	if err := os.Mkdir(filepath.Join(home, ".kube"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig(), []byte(userKubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command(bin, "down", "--purge").Run() })
	return c
}

// owns tells what is this cluster's on a machine where others make and remove the same kinds of things meanwhile.
func (c *cluster) owns(line string) bool {
	for _, mark := range append(marksOfCluster(c.name), os.Getenv("HOME")) {
		if strings.Contains(line, mark) {
			return true
		}
	}
	return false
}

func (c *cluster) dhow(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(c.bin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dhow %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// work makes everything that dhow makes on a host: images, pods with volumes of each kind, services, published
// ports, plain containers; something runs, something has ended, something is on its way out.
func (c *cluster) work(t *testing.T) {
	t.Helper()
	c.dhow(t, "build", "-q", "-t", "web:v1", "../../examples/web")
	c.dhow(t, "kubectl", "apply", "-f", "testdata/work.yaml")
	c.dhow(t, "kubectl", "wait", "--for=condition=available", "deployment/web", "--timeout=30s")
	c.dhow(t, "kubectl", "wait", "--for=condition=complete", "job/done", "--timeout=30s")
	c.dhow(t, "kubectl", "delete", "pod", "-l", "app=web", "--wait=false")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c.dhow(t, "run", "-d", "-p", port+":8080", "-v", "named:/data", "web:v1")
	c.dhow(t, "run", "--rm", "web:v1", "page", "/dev/shm")
}

// kill ends a program of the cluster as a crash would.
func (c *cluster) kill(t *testing.T, program string) {
	t.Helper()
	layout := config.Layout{Run: filepath.Join("/run/dhow", c.name), Data: filepath.Join("/var/lib/dhow", c.name)}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if string(comm) != program+"\n" || !strings.Contains(string(environ), "DHOW_NAME="+c.name+"\x00") && !strings.Contains(string(args), layout.Data) {
			continue
		}
		var pid int
		fmt.Sscan(filepath.Base(dir), &pid)
		end, err := os.FindProcess(pid) // a pidfd: its end can be waited for
		if err != nil {
			t.Fatal(err)
		}
		if err := end.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for syscall.Kill(pid, 0) == nil && !zombie(dir) {
			syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 1000})
		}
		return
	}
	t.Fatalf("no %s of cluster %s", program, c.name)
}

func zombie(dir string) bool {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	return err != nil || strings.Contains(string(status), "State:\tZ")
}

// TestHostIsAsBefore is the last of all tests: whatever they did, nothing of it is left. test/run says where
// the host was written down before the first one.
func TestHostIsAsBefore(t *testing.T) {
	file := os.Getenv("DHOW_HOST_BEFORE")
	if file == "" {
		t.Skip("test/run writes down how the host was before")
	}
	if err := run([]string{"compare", file}); err != nil {
		t.Error(err)
	}
}
