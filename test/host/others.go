package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dhow-project/dhow/internal/config"
)

// ours are the names of clusters that tests make.
var ours = regexp.MustCompile(`\bt\d+-\d+\b`)

// clusters are those that run on this machine, with the daemon's process and where they keep their data.
func clusters() ([]string, error) {
	dirs, err := filepath.Glob("/run/dhow/*/lock")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range dirs {
		dir = filepath.Dir(dir)
		line := filepath.Base(dir)
		if r, err := (config.Layout{Run: dir}).ReadRunning(); err == nil {
			line += fmt.Sprintf(" %d %s", r.PID, r.Data)
		}
		out = append(out, line)
	}
	return out, nil
}

// marksOf gives what the things of other people's clusters have in their names: those of the bridge and of
// the tables, the prefix of the links, the data directory.
func marksOf(s snapshot) []string {
	var marks []string
	for _, line := range s {
		rest, ok := strings.CutPrefix(line, "cluster ")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		pid, data, _ := strings.Cut(rest, " ")
		if ours.MatchString(name) {
			continue
		}
		marks = append(append(marks, marksOfCluster(name)...), "sysctl")
		if data != "" {
			marks = append(marks, data, "process "+pid+" ")
		}
	}
	if len(marks) > 0 { // they share these with each other
		marks = append(marks, "file "+kubeconfig(), "file /run/dhow ", "file /var/lib/dhow ", "file /var/cache/dhow", "setting ")
	}
	return marks
}

func marksOfCluster(name string) []string {
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:3])
	return []string{"cluster " + name, "dhow-" + name, "dhow-" + hash, "dh" + hash, "/run/dhow/" + name, "/var/lib/dhow/" + name}
}

func kubeconfig() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return "/root/.kube/config"
	}
	return filepath.Join(home, ".kube/config")
}
