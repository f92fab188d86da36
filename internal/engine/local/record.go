package local

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// Records are what the engine must know after a restart. They are replaced atomically but not
// synced: a machine that loses power loses its containers with them, and reconcile removes a torn one.
type sandboxRecord struct {
	ID      string
	Config  engine.SandboxConfig
	Created time.Time
	Stopped bool
	NetNS   string
	IPs     []string
}

type containerRecord struct {
	ID        string
	SandboxID string
	Config    engine.ContainerConfig
	ImageID   string
	ImageRef  string
	Created   time.Time
	// Last is what the keeper said last, for when it has lost its memory.
	Last lastState
}

type lastState struct {
	State             string
	PID               int `json:",omitempty"`
	Started, Finished time.Time
	ExitCode, Signal  int
	Reason, Message   string
	User              *engine.ProcessUser `json:",omitempty"`
}

const (
	recordFile = "record.json"
	newer      = ".new"
)

func saveRecord(dir string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordFile)
	if err := os.WriteFile(path+newer, raw, 0o600); err != nil {
		return err
	}
	// ext4 writes a file out that is renamed over another: so there is no other. Whoever is killed here has
	// the newer one, which is whole.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(path+newer, path)
}

func loadRecord(dir string, v any) error {
	path := filepath.Join(dir, recordFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = os.ReadFile(path + newer)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("record %s: %w", dir, err)
	}
	return nil
}

// loadAll reads the records below root and gives the directories that have no whole one.
func loadAll[R any](root string) (records map[string]R, torn []string, err error) {
	dirs, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	records = map[string]R{}
	for _, d := range dirs {
		var r R
		if err := loadRecord(filepath.Join(root, d.Name()), &r); err != nil {
			torn = append(torn, filepath.Join(root, d.Name()))
			continue
		}
		records[d.Name()] = r
	}
	return records, torn, nil
}

// newID is 32 random bytes in hex, as the OCI world's IDs look.
func newID() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
