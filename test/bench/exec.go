package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
)

func measureExec(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	w, err := c.watchPods()
	if err != nil {
		return err
	}
	defer w.stop()
	if err := c.api.create(c.api.http, podPath, pod("exec")); err != nil {
		return err
	}
	if _, err := w.running("exec"); err != nil {
		return err
	}
	times, err := measureTimes(b.times(100), func(int) error { return c.execAPI("exec", "/bin/box", "print", "x") })
	if err != nil {
		return err
	}
	b.set("exec in a pod through the API, p50", "%s", millis(percentile(times, 50)))
	if err := b.execSocket(c); err != nil {
		return err
	}
	if err := c.api.delete(podPath + "/exec"); err != nil {
		return err
	}
	return b.runPlain(c)
}

// execAPI runs a command as kubectl exec does: over a WebSocket of its own, until the server says how it ended.
func (c *cluster) execAPI(pod string, command ...string) error {
	u, err := url.Parse(c.api.server + podPath + "/" + pod + "/exec")
	if err != nil {
		return err
	}
	u.Scheme = "wss"
	u.RawQuery = url.Values{"command": command, "stdout": {"true"}, "stderr": {"true"}}.Encode()
	dial := websocket.Dialer{TLSClientConfig: c.api.tls, Subprotocols: []string{"v5.channel.k8s.io"}}
	conn, _, err := dial.Dial(u.String(), http.Header{})
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if message[0] != 3 { // not the channel for errors
			continue
		}
		var status struct{ Status, Message string }
		if err := json.Unmarshal(message[1:], &status); err != nil || status.Status != "Success" {
			return fmt.Errorf("exec: %s %w", message[1:], err)
		}
		return nil
	}
}

func (b *bench) execSocket(c *cluster) error {
	e := socket.New(c.layout.Socket())
	defer e.Close()
	ctx := context.Background()
	all, err := e.ListContainers(ctx, engine.Filter{})
	if err != nil {
		return err
	}
	id := ""
	for _, found := range all {
		if found.State == engine.ContainerRunning {
			id = found.ID
		}
	}
	times, err := measureTimes(b.times(100), func(int) error {
		_, err := e.Exec(ctx, id, engine.ExecConfig{Command: []string{"/bin/box", "print", "x"}, Streams: engine.Streams{Stdout: io.Discard}})
		return err
	})
	if err == nil {
		b.set("exec through the engine's socket, p50", "%s", millis(percentile(times, 50)))
	}
	return err
}

// runPlain runs a container to its end with a program of its own each time, as people do, and so do the peers.
func (b *bench) runPlain(c *cluster) error {
	const what = "run a plain container to its end, p50"
	times, err := measureTimes(b.times(50), func(int) error {
		_, err := c.dhow("run", "--rm", "box:latest", "print", "x")
		return err
	})
	if err != nil {
		return err
	}
	b.set(what, "%s", millis(percentile(times, 50)))
	var peers []string
	for _, name := range []string{"crun", "runc"} {
		bin, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		bundle, err := b.bundle(bin)
		if err != nil {
			return err
		}
		times, err := measureTimes(b.times(50), func(i int) error {
			cmd := exec.Command(bin, "run", fmt.Sprintf("dhow-bench-%d-%d", os.Getpid(), i))
			cmd.Dir = bundle
			_, err := output(cmd)
			return err
		})
		if err != nil {
			peers = append(peers, name+": "+strings.TrimSpace(strings.Split(err.Error(), "\n")[0]))
			continue
		}
		peers = append(peers, name+" "+millis(percentile(times, 50)))
	}
	b.peers[what] = strings.Join(peers, ", ")
	return nil
}

// bundle is what an OCI runtime runs: the same program, with the runtime's own default configuration.
func (b *bench) bundle(runtime string) (string, error) {
	dir := filepath.Join(b.dir, filepath.Base(runtime))
	root := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	if err := os.Link(filepath.Join(b.context(), "box"), filepath.Join(root, "box")); err != nil {
		return "", err
	}
	spec := exec.Command(runtime, "spec")
	spec.Dir = dir
	if _, err := output(spec); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return "", err
	}
	process := config["process"].(map[string]any)
	process["args"], process["terminal"] = []string{"/bin/box", "print", "x"}, false
	if raw, err = json.Marshal(config); err != nil {
		return "", err
	}
	return dir, os.WriteFile(path, raw, 0o644)
}
