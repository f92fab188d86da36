package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/x/atomicfile"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Layout is where a cluster keeps what. Data survives a reboot, Run does not.
type Layout struct{ Data, Run string }

// Places of the cluster that c describes; c is complete.
func (c Config) Places() Layout {
	return Layout{Data: c.DataDir, Run: filepath.Join("/run/dhow", c.Name)}
}

func (l Layout) Settings() string      { return filepath.Join(l.Data, "cluster.yaml") }
func (l Layout) Store() string         { return filepath.Join(l.Data, "store", "store.db") }
func (l Layout) PKI() string           { return filepath.Join(l.Data, "pki") }
func (l Layout) Engine() string        { return filepath.Join(l.Data, "engine") }
func (l Layout) EncryptionKey() string { return filepath.Join(l.Data, "encryption.key") }
func (l Layout) Node() string          { return filepath.Join(l.Data, "node") }
func (l Layout) Logs() string          { return filepath.Join(l.Data, "logs") }
func (l Layout) DaemonLog() string     { return filepath.Join(l.Data, "dhow.log") }
func (l Layout) Kubeconfig() string    { return filepath.Join(l.Data, "kubeconfig") }
func (l Layout) KubectlCache() string  { return filepath.Join(l.Data, "kubectl") }
func (l Layout) Volumes() string       { return filepath.Join(l.Data, "volumes") } // dhow run -v NAME:
func (l Layout) Storage() string       { return filepath.Join(l.Data, "storage") } // persistent volumes
func (l Layout) Socket() string        { return filepath.Join(l.Run, "engine.sock") }
func (l Layout) Network() string       { return filepath.Join(l.Run, "network") }
func (l Layout) Claim() string         { return filepath.Join(l.Run, "data") } // a link to Data
func (l Layout) Lock() string          { return filepath.Join(l.Run, "lock") }
func (l Layout) Running() string       { return filepath.Join(l.Run, "daemon.json") }

// Running is what a daemon says about itself while it runs.
type Running struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   time.Time `json:"ready,omitzero"`
	URL     string    `json:"url"`
	Context string    `json:"context"`
	Node    string    `json:"node"`
	Data    string    `json:"data"`
	// Failed is why it ended, when nobody had asked it to.
	Failed string `json:"failed,omitempty"`
}

// ReadRunning reads it; NotFound when there is none. The process may be gone all the same.
func (l Layout) ReadRunning() (Running, error) {
	var r Running
	raw, err := os.ReadFile(l.Running())
	if errors.Is(err, fs.ErrNotExist) {
		return r, fault.New(fault.NotFound, "no cluster is running here")
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(raw, &r)
}

// WriteRunning is for the daemon.
func (l Layout) WriteRunning(r Running) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(l.Running(), raw, 0o600)
}

// Held reports whether a daemon holds the cluster's lock. Unlike a process number it cannot be somebody else's, nor a
// process that has ended and was not reaped yet.
func (l Layout) Held() bool {
	f, err := os.Open(l.Lock())
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// Step is one thing that was done on the way up or down.
type Step struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"`
	// Note is shown behind the name: an address, a count.
	Note string `json:"note,omitempty"`
	// Ready marks the last step of a start; Error ends it.
	Ready bool       `json:"ready,omitempty"`
	Error string     `json:"error,omitempty"`
	Kind  fault.Kind `json:"kind,omitempty"` // of the error
}
