// Package image is the node's one store of images: pulled, built, pushed to it or
// loaded, each layer kept once and unpacked once, ready to be an overlay's lower.
//
// It must not know the engine or Kubernetes. Subpackages: content (blobs), layer
// (tar to directory and back), registry (serves this store), build (fills it).
// Read store.go first, then pull.go.
package image

import (
	"log/slog"
	"time"

	"github.com/dhow-project/dhow/internal/image/remote"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// Options of Open. The zero value works.
type Options struct {
	Log        *slog.Logger
	Registries Registries
	// Limits on what one layer may unpack to; 0 means the default.
	MaxLayerBytes  int64 // 64 GiB
	MaxLayerInodes int64 // 4 million
}

// Registries says how registries are reached.
type Registries = remote.Registries

// Auth is one credential to try. An empty Auth is anonymous.
type Auth = remote.Auth

// Platform names what an image runs on; the zero value is this machine.
type Platform = v1.Platform

// Statuses of Progress, in the order a layer goes through them.
const (
	Downloading = "downloading"
	Unpacking   = "unpacking"
	Packing     = "packing"
	Uploading   = "uploading"
	Present     = "exists"
	Done        = "done"
)

// Progress of one layer in bytes; Total is 0 when unknown.
type Progress struct {
	Layer       string // digest
	Done, Total int64
	Status      string
}

// PullOptions of one pull.
type PullOptions struct {
	Platform *Platform
	// Progress may be called from several goroutines, one call at a time. It must not block.
	Progress func(Progress)
}

// Image is one present image as it was when asked. Nothing in it may be modified.
type Image struct {
	ID          digest.Digest // of its config
	Manifest    digest.Digest // of the manifest this node would serve for it
	Tags        []string      // "docker.io/library/nginx:latest", sorted
	RepoDigests []string      // "docker.io/library/nginx@sha256:…", sorted
	Size        int64         // bytes unpacked, shared layers included
	Created     time.Time
	Config      *v1.ConfigFile
	Layers      []digest.Digest // diff IDs, base first
}

// Usage of the store on disk.
type Usage struct{ Bytes, Inodes uint64 }

// Removed says what a removal did, for people.
type Removed struct {
	Untagged []string
	Deleted  []digest.Digest // images
	Bytes    int64           // freed
}
