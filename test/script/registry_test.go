package script

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/registry"
)

// registryCmd starts Debian's docker-registry, or our own where that is not installed.
func registryCmd(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	port, err := freePort()
	ts.Check(err)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	dir := ts.MkAbs(".registry")
	private := len(args) > 1 && args[1] == "private"
	if bin, err := exec.LookPath("docker-registry"); err == nil {
		ts.Check(os.Mkdir(dir, 0o755))
		debianRegistry(ts, bin, dir, addr, private)
	} else {
		ts.Logf("docker-registry is not installed: using dhow's own")
		ownRegistry(ts, dir, addr, private)
	}
	ts.Check(awaitHTTP("http://" + addr + "/v2/"))
	ts.Setenv(args[0], addr)
}

// htpasswd lets sailor in with the password rosebud (bcrypt, which is all that docker-registry takes).
const htpasswd = "sailor:$2b$05$abcdefghijklmnopqrstuuifnELjHL98NKSburkHSCQvOEvHFTLv2\n"

func debianRegistry(ts *testscript.TestScript, bin, dir, addr string, private bool) {
	conf := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: '%s'}\n", dir, addr)
	if private {
		ts.Check(os.WriteFile(filepath.Join(dir, "htpasswd"), []byte(htpasswd), 0o644))
		text += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", dir)
	}
	ts.Check(os.WriteFile(conf, []byte(text), 0o644))
	cmd := exec.Command(bin, "serve", conf)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func ownRegistry(ts *testscript.TestScript, dir, addr string, private bool) {
	store, err := image.Open(dir, image.Options{})
	ts.Check(err)
	l, err := net.Listen("tcp", addr)
	ts.Check(err)
	images := registry.Handler(store, registry.Options{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); private && (u != "sailor" || p != "rosebud") {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "authentication required", http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	ts.Defer(func() {
		server.Close()
		<-done
		store.Close()
	})
}

func awaitHTTP(url string) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			return nil
		}
		if time.Now().After(end) {
			return err
		}
	}
}
