// Package atrest encrypts Secrets on their way to the store.
//
// AES-256-GCM with a random nonce; the key of the store is authenticated with the value, so that a value cannot
// be moved to another name. It knows nothing but bytes under keys: cache.Transform is its shape.
package atrest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhow-project/dhow/internal/x/atomicfile"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// prefixes of the store that are encrypted, in upstream's layout.
var prefixes = []string{"/registry/secrets/"}

// magic is in front of every encrypted value; what does not begin with it is plain.
var magic = []byte("dhow:aesgcm:v1:")

const keySize = 32

// Cipher encrypts and decrypts. Safe for concurrent use.
type Cipher struct{ aead cipher.AEAD }

// Ensure loads the key from a file, or makes it (mode 0600). A file of another length is refused and left alone.
func Ensure(path string) (*Cipher, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		rand.Read(key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		err = atomicfile.Write(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	if len(key) != keySize {
		return nil, fault.New(fault.Invalid, "encryption key %s has %d bytes instead of %d: restore it from a backup, Secrets cannot be read without it", path, len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Cipher{aead}, err
}

func wanted(key string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// Encode encrypts the values of keys that want it.
func (c *Cipher) Encode(key string, value []byte) ([]byte, error) {
	if !wanted(key) {
		return value, nil
	}
	out := make([]byte, len(magic)+c.aead.NonceSize(), len(magic)+c.aead.NonceSize()+len(value)+c.aead.Overhead())
	copy(out, magic)
	nonce := out[len(magic):]
	rand.Read(nonce)
	return c.aead.Seal(out, nonce, value, []byte(key)), nil
}

// Decode is the way back. Plain values pass.
func (c *Cipher) Decode(key string, value []byte) ([]byte, error) {
	sealed, ok := bytes.CutPrefix(value, magic)
	if !ok {
		return value, nil
	}
	n := c.aead.NonceSize()
	if len(sealed) < n {
		return nil, fault.New(fault.Invalid, "decrypt %s: the value is cut short", key)
	}
	plain, err := c.aead.Open(nil, sealed[:n], sealed[n:], []byte(key))
	if err != nil {
		return nil, fault.New(fault.Invalid, "decrypt %s: the key is another one, or the value is damaged", key)
	}
	return plain, nil
}
