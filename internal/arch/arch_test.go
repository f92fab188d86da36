// Package arch holds the architecture as a test: which room may import which.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dhow-project/dhow/internal/"

// rooms says which of our rooms each room may import. A room is the first word of a path
// below internal. Everybody may import x.
var rooms = map[string][]string{
	"x":          {},
	"config":     {},
	"kubectl":    {},
	"linux":      {},
	"api":        {},
	"pki":        {},
	"store":      {},
	"image":      {"linux"},
	"oci":        {"linux"},
	"network":    {"linux"},
	"engine":     {"linux", "image", "oci", "network"},
	"apiserver":  {"api", "store", "pki", "client"},
	"client":     {"api", "pki"},
	"controller": {"api", "client"},
	"scheduler":  {"api", "client"},
	"service":    {"api", "client", "linux", "network"},
	"node":       {"api", "client", "engine", "linux"},
	"web":        {"api", "client", "engine", "pki", "config"},
	"cli":        {"api", "client", "engine", "pki", "config"},
	"daemon": {"api", "apiserver", "client", "config", "controller", "engine", "image", "kubectl", "linux", "network", "node", "oci",
		"pki", "scheduler", "service", "store", "web"},
	"testcluster": {"api", "apiserver", "client", "config", "controller", "daemon", "engine", "node", "pki", "scheduler", "service", "store"},
	"arch":        {},
}

// only are packages of other rooms that a room may not use although the room as such is allowed.
var only = map[string][]string{
	"node": {"engine"},                  // the contract, never an implementation
	"cli":  {"engine", "engine/socket"}, // the contract, and the way to a running daemon
	"web":  {"engine", "engine/socket"},
}

// islands never import a sibling: their first word below the room is the island. The package all lists them.
var islands = []string{"controller", "service"}

// outside limits who may use other people's packages, by prefix.
var outside = []struct {
	prefix string
	rooms  []string
}{
	{"k8s.io/", []string{"api", "apiserver", "client", "controller", "scheduler", "service", "node", "daemon", "web", "testcluster"}},
	{"golang.org/x/sys/unix", []string{"linux", "oci", "network", "image", "engine"}},
	{"github.com/vishvananda/netlink", []string{"linux", "network"}},
	{"github.com/google/nftables", []string{"linux"}},
	{"go.etcd.io/bbolt", []string{"store", "image"}},
	{"github.com/spf13/cobra", []string{"cli"}},
}

// never are packages that nobody imports.
var never = []string{"k8s.io/kubernetes/", "k8s.io/apiserver/pkg/server", "k8s.io/client-go/informers"}

func TestArrowsPointDown(t *testing.T) {
	for file, imports := range sources(t) {
		own, _, _ := strings.Cut(file, "/")
		allowed, known := rooms[own]
		if !known {
			t.Errorf("%s: the room %q is not in the table", file, own)
			continue
		}
		for _, path := range imports {
			checkOutside(t, file, own, path)
			rest, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			room, _, _ := strings.Cut(rest, "/")
			switch {
			case room == "x", room == own && !slices.Contains(islands, own):
			case room == own:
				checkIsland(t, file, rest)
			case !slices.Contains(allowed, room):
				t.Errorf("%s imports %s: %s may use only x, %s", file, rest, own, strings.Join(allowed, ", "))
			case only[own] != nil && room == "engine" && !slices.Contains(only[own], rest):
				t.Errorf("%s imports %s: of the engine %s may use only %s", file, rest, own, strings.Join(only[own], ", "))
			}
		}
	}
}

func checkOutside(t *testing.T, file, own, path string) {
	for _, p := range never {
		if strings.HasPrefix(path, p) {
			t.Errorf("%s imports %s: nobody does (design: boundaries)", file, path)
		}
	}
	for _, o := range outside {
		if strings.HasPrefix(path, o.prefix) && !slices.Contains(o.rooms, own) {
			t.Errorf("%s imports %s: only %s may", file, path, strings.Join(o.rooms, ", "))
		}
	}
}

// checkIsland: controller/job may use controller and controller/controllertest, not controller/deployment.
func checkIsland(t *testing.T, file, rest string) {
	mine, theirs := island(filepath.Dir(file)), island(rest)
	if mine == "all" || theirs == "" || theirs == mine || strings.HasSuffix(theirs, "test") {
		return
	}
	t.Errorf("%s imports %s: siblings meet in the API, not in an import", file, rest)
}

func island(pkg string) string {
	_, rest, _ := strings.Cut(pkg, "/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// sources gives the imports of every file below internal that is no test.
func sources(t *testing.T) map[string][]string {
	out := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		out[name] = nil
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			out[name] = append(out[name], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTableNamesRealRooms(t *testing.T) {
	have := map[string]bool{}
	for file := range sources(t) {
		room, _, _ := strings.Cut(file, "/")
		have[room] = true
	}
	for room := range rooms {
		if !have[room] && room != "arch" && room != "web" && room != "testcluster" {
			t.Errorf("the room %q is in the table and not in the house", room)
		}
	}
}
