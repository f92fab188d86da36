// Package pki makes and keeps the cluster's keys: certificate authorities, the
// key that signs service account tokens, certificates issued from them, and
// the kubeconfig entries that carry them to a user.
//
// It knows nothing of API objects and never overwrites a key it finds. Read this file first.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Files of a cluster's directory. All are 0600, the directory is 0700.
const (
	caCert    = "ca.crt"
	caKey     = "ca.key"
	proxyCert = "requestheader-ca.crt"
	proxyKey  = "requestheader-ca.key"
	saKey     = "service-account.key"
)

// Lives of what is issued. Leaf certificates are renewed by the running process at two thirds.
const (
	caLife = 20 * 365 * 24 * time.Hour
	// LeafLife is how long certificates of servers and nodes last.
	LeafLife = 365 * 24 * time.Hour
	// backdate lets certificates work on machines whose clock is a little behind.
	backdate = 5 * time.Minute
)

// Cluster is the key material of one control plane. It is immutable and safe for concurrent use.
type Cluster struct {
	CA             *CA // signs servers, clients and nodes
	RequestHeader  *CA // signs the client certificate shown to aggregated API servers
	ServiceAccount *ecdsa.PrivateKey
}

// Ensure loads the cluster's keys from dir, making them first when dir is missing or empty. They appear
// all at once (one rename) or not at all. A directory that is damaged, or holds only
// some of the files, is refused with fault.Invalid and left as it is.
func Ensure(dir string) (*Cluster, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		if err := create(dir, time.Now()); err != nil {
			return nil, fmt.Errorf("create cluster keys in %s: %w", dir, err)
		}
	case err != nil:
		return nil, fmt.Errorf("open cluster keys: %w", err)
	}
	c, err := load(dir, time.Now())
	if err != nil {
		return nil, fmt.Errorf("load cluster keys: %w", err)
	}
	return c, nil
}

func create(dir string, now time.Time) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, ca := range []struct{ name, cert, key string }{
		{"dhow-ca", caCert, caKey},
		{"dhow-requestheader-ca", proxyCert, proxyKey},
	} {
		cert, key, err := newCA(ca.name, now)
		if err != nil {
			return err
		}
		if err := writeNew(filepath.Join(tmp, ca.cert), cert); err != nil {
			return err
		}
		if err := writeNew(filepath.Join(tmp, ca.key), key); err != nil {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pem, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(tmp, saKey), pem); err != nil {
		return err
	}
	if err := syncDir(tmp); err != nil {
		return err
	}
	// Renaming onto an empty directory replaces it; onto one that filled up meanwhile fails.
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(parent)
}

func load(dir string, now time.Time) (*Cluster, error) {
	ca, err := loadCA(dir, caCert, caKey, now)
	if err != nil {
		return nil, err
	}
	proxy, err := loadCA(dir, proxyCert, proxyKey, now)
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, saKey))
	if err != nil {
		return nil, err
	}
	return &Cluster{CA: ca, RequestHeader: proxy, ServiceAccount: key}, nil
}

// damaged makes the error for a file that cannot be what we wrote.
func damaged(path string, why string, args ...any) error {
	return fault.New(fault.Invalid, "%s: %w; restore the file from a backup, or run dhow down --purge to start over", path, fmt.Errorf(why, args...))
}
