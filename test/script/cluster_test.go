package script

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/config"
)

// cluster is one that belongs to the tests.
type cluster struct {
	name, data string
	env        []string
}

var clusters atomic.Int32

// makeCluster gives one a name and a place. dhow chooses networks and ports that nobody else has, also no cluster that keeps
// its data beside it and is stopped just now.
func makeCluster(home string) *cluster {
	c := &cluster{name: fmt.Sprintf("t%d-%d", os.Getpid(), clusters.Add(1))}
	c.data = filepath.Join(tools, "data", c.name)
	c.env = append(os.Environ(), "HOME="+home, "KUBECONFIG=", "DHOW_NAME="+c.name, "DHOW_DATA_DIR="+c.data, "PATH="+tools+":"+os.Getenv("PATH"))
	return c
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// dhow runs a command outside of a script.
func (c *cluster) dhow(args ...string) error {
	cmd := exec.Command(filepath.Join(tools, "dhow"), args...)
	cmd.Env = c.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("dhow %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// start brings it up, with images box:1 and box:2.
func (c *cluster) start() error {
	if err := c.dhow("up", "-d"); err != nil {
		log, _ := os.ReadFile(config.Layout{Data: c.data}.DaemonLog())
		return fmt.Errorf("%w\n%s", err, log)
	}
	for _, v := range []string{"1", "2"} {
		if err := c.dhow("build", "-q", "-t", "box:"+v, "--build-arg", "VERSION="+v, filepath.Join(tools, "box")); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) purge() error { return c.dhow("down", "--purge") }

// purgeAll takes those away, too, that a script has started with a letter more in the name or with its data elsewhere,
// and did not come to stop.
func (c *cluster) purgeAll() error {
	var errs []error
	for _, pattern := range []string{c.name, c.name + "[a-z]"} {
		links, err := filepath.Glob(filepath.Join("/run/dhow", pattern, "data"))
		errs = append(errs, err)
		for _, link := range links {
			if data, err := os.Readlink(link); err == nil {
				errs = append(errs, c.dhow("--name", filepath.Base(filepath.Dir(link)), "--data-dir", data, "down", "--purge"))
			}
		}
	}
	return errors.Join(append(errs, c.purge())...)
}

func (c *cluster) describe(env *testscript.Env) {
	env.Setenv("DHOW_NAME", c.name)
	env.Setenv("DHOW_DATA_DIR", c.data)
}

func newCluster(env *testscript.Env) error {
	c := makeCluster(env.Getenv("HOME"))
	c.describe(env)
	env.Defer(func() {
		if err := c.purgeAll(); err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}

func startedCluster(env *testscript.Env) error {
	c := makeCluster(env.Getenv("HOME"))
	c.describe(env)
	env.Defer(func() {
		if err := c.purge(); err != nil {
			env.T().Fatal(err)
		}
	})
	return errors.Join(c.start(), useNamespace(env, c, "default"))
}

// shared is the cluster that many scripts use; it starts with the first of them.
var shared struct {
	once sync.Once
	c    *cluster
	err  error
}

func sharedCluster(env *testscript.Env) error {
	shared.once.Do(func() {
		shared.c = makeCluster(filepath.Join(tools, "home"))
		shared.err = shared.c.start()
	})
	shared.c.describe(env)
	return shared.err
}

func stopShared() error {
	if shared.c == nil {
		return nil
	}
	return shared.c.purge()
}

func sharedNamespace(env *testscript.Env) error {
	if err := sharedCluster(env); err != nil {
		return err
	}
	ns := env.Getenv("SCRIPT")
	env.Setenv("NS", ns)
	if err := useNamespace(env, shared.c, ns); err != nil {
		return err
	}
	if err := shared.c.dhow("kubectl", "create", "namespace", ns); err != nil {
		return err
	}
	env.Defer(func() {
		if err := shared.c.dhow("kubectl", "delete", "namespace", ns, "--wait=false"); err != nil {
			env.T().Fatal(err)
		}
	})
	return shared.c.dhow("kubectl", "-n", ns, "wait", "--for=create", "serviceaccount/default", "--timeout=10s")
}

// useNamespace gives the script a kubeconfig of its own.
func useNamespace(env *testscript.Env, c *cluster, namespace string) error {
	raw, err := os.ReadFile(config.Layout{Data: c.data}.Kubeconfig())
	if err != nil {
		return err
	}
	var k map[string]any
	if err := yaml.Unmarshal(raw, &k); err != nil {
		return err
	}
	for _, entry := range k["contexts"].([]any) {
		entry.(map[string]any)["context"].(map[string]any)["namespace"] = namespace
	}
	if raw, err = yaml.Marshal(k); err != nil {
		return err
	}
	path := filepath.Join(env.WorkDir, ".home", "kubeconfig")
	env.Setenv("KUBECONFIG", path)
	return os.WriteFile(path, raw, 0o600)
}
