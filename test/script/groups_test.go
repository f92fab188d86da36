package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts of a group find the same things around them.

// TestCluster: how clusters start, stop and refuse. DHOW_NAME and DHOW_DATA_DIR name one that nobody has started.
func TestCluster(t *testing.T) { group(t, "cluster", newCluster) }

// TestNode: scripts that break things, each with a running cluster and image box:1 of its own.
func TestNode(t *testing.T) { group(t, "node", startedCluster) }

// TestImages and TestRun share a running cluster that has image box:1.
func TestImages(t *testing.T) { group(t, "images", sharedCluster) }
func TestRun(t *testing.T)    { group(t, "run", sharedCluster) }

// TestKubectl: as above, with image box:2 too. $NS is a namespace of the script's own, and what kubectl uses.
func TestKubectl(t *testing.T) { group(t, "kubectl", sharedNamespace) }

// A set-up gives a script its surroundings, and takes them away after it.
type setup func(*testscript.Env) error

func group(t *testing.T, name string, around setup) {
	if tools == "" {
		t.Skip("see above")
	}
	deadline, _ := t.Deadline()
	testscript.RunT(quiet{t}, testscript.Params{
		Deadline:           deadline,
		Dir:                filepath.Join("testdata", name),
		RequireUniqueNames: true,
		Cmds:               commands(),
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			if err := os.Mkdir(home, 0o755); err != nil {
				return err
			}
			env.Setenv("HOME", home)
			env.Setenv("PATH", tools+":"+os.Getenv("PATH"))
			env.Setenv("BOX", filepath.Join(tools, "box"))
			env.Setenv("SCRIPT", strings.ReplaceAll(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), "_", "-"))
			return around(env)
		},
	})
}

// quiet shows what a script did only when it fails, with -v too.
type quiet struct{ *testing.T }

func (q quiet) Verbose() bool { return false }
func (q quiet) Run(name string, f func(testscript.T)) {
	q.T.Run(name, func(t *testing.T) { f(quiet{t}) })
}
