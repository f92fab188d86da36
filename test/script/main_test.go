// Package script runs dhow as its users do: each file below testdata is a script that shows one promise of a
// command and fails when it is broken. Start with groups_test.go; commands_test.go says what scripts can do
// beyond testscript's own commands. It needs root and bin/dhow (make build).
package script

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tools is a directory, first in every script's PATH, with dhow, kubectl (which is dhow, too) and the
// build context of the image that most scripts run.
var tools string

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/script:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	if os.Geteuid() != 0 {
		return 0, notHere("it starts clusters, which needs root")
	}
	if tools, err = os.MkdirTemp("", "dhow-script-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tools)) }()
	if err := makeTools(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopShared()) }()
	return m.Run(), nil
}

// notHere is why nothing was tested: a message for people, a failure for CI.
func notHere(why string) error {
	if os.Getenv("CI") != "" {
		return errors.New("skipped, but CI must not skip it: " + why)
	}
	fmt.Println("test/script: SKIP:", why)
	return nil
}

// makeTools copies dhow, since a user without rights may not see the place where it was built, and builds box.
func makeTools() error {
	if err := os.Chmod(tools, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join("..", "..", "bin", "dhow"), filepath.Join(tools, "dhow")); err != nil {
		return fmt.Errorf("use bin/dhow: %w: run 'make build' first", err)
	}
	if err := os.Symlink("dhow", filepath.Join(tools, "kubectl")); err != nil {
		return err
	}
	context := filepath.Join(tools, "box")
	if err := os.Mkdir(context, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(context, "box"), "./box")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build box: %w: %s", err, out)
	}
	return os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(strings.TrimLeft(boxDockerfile, "\n")), 0o644)
}

// The image has a version, so that there is something to roll out, and every command by its name.
const boxDockerfile = `
FROM scratch
COPY box /bin/box
RUN ["/bin/box", "link", "/bin"]
ARG VERSION=1
ENV VERSION=${VERSION} PATH=/bin
CMD ["sleep"]
`

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
