// Package embed carries the keeper's program inside dhow.
package embed

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/x/fault"
)

//go:embed all:bin
var bin embed.FS

// Name of the program's file.
const Name = "dhow-keeper"

// Program is the keeper's program: the file that $DHOW_KEEPER names (tests bring the one of their own source),
// else the embedded one, else the file dhow-keeper beside the executable.
func Program() ([]byte, error) {
	if p := os.Getenv("DHOW_KEEPER"); p != "" {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("read keeper named by DHOW_KEEPER: %w", err)
		}
		return b, nil
	}
	b, err := bin.ReadFile("bin/" + Name)
	if err == nil {
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read embedded keeper: %w", err)
	}
	if exe, err := os.Executable(); err == nil {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(exe), Name)); err == nil {
			return b, nil
		}
	}
	return nil, fault.New(fault.Unsupported, "this dhow was built without its keeper: build with make, or set DHOW_KEEPER to a dhow-keeper program")
}

// Hash names a program by its content.
func Hash(program []byte) string {
	h := sha256.Sum256(program)
	return hex.EncodeToString(h[:16])
}
