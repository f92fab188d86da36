// Package openapi describes the API in OpenAPI v2 and v3, derived by
// reflection from the registry's Go types when somebody asks for it.
//
// Nothing is built at start and nothing is kept that nobody read for a while. schema.go says how a type looks, paths.go
// which calls there are, http.go serves both. It must not know how kinds are stored.
package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// Marker is what the source of a type says beyond its Go type, as comment markers.
type Marker struct {
	List    string   // +listType: atomic, set, map
	Keys    []string // +listMapKey
	Map     string   // +structType, +mapType: atomic, granular
	Default any      // +default
}

// Options complete the description.
type Options struct {
	// Version is the server's version, "v1.36.3".
	Version string
	// Markers looks up a type ("k8s.io/api/core/v1.PodSpec") or a field of one ("….PodSpec.Containers"). It may be nil.
	Markers func(name string) Marker
	// Salt changes whenever documents could: it is part of their hashes, which clients cache by. By default the
	// program file's time and size.
	Salt string
	// Idle is how long a built document is kept after its last use; five minutes when zero.
	Idle time.Duration
}

// Spec builds and serves the documents. It is an http.Handler for /openapi/. Safe for concurrent use.
type Spec struct {
	registry *api.Registry
	opts     Options
	salt     func() string

	mu     sync.Mutex
	cache  map[string][]byte
	expiry *time.Timer
	extra  map[string]extraDoc
}

// extraDoc is a document from elsewhere: a CRD's, an aggregated server's.
type extraDoc struct {
	hash  string
	build func() ([]byte, error)
}

// New makes it; nothing is built yet.
func New(r *api.Registry, o Options) *Spec {
	if o.Idle == 0 {
		o.Idle = 5 * time.Minute
	}
	return &Spec{registry: r, opts: o, salt: sync.OnceValue(func() string { return saltOf(o.Salt) }), cache: map[string][]byte{}, extra: map[string]extraDoc{}}
}

// Add serves one more v3 document (JSON) under path, "apis/example.com/v1"; hash names its content. Adding again replaces.
func (s *Spec) Add(path, hash string, build func() ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extra[path] = extraDoc{hash, build}
}

// Remove stops serving what Add added.
func (s *Spec) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.extra, path)
}

// cached builds a document once and drops all when nobody asked for a while.
func (s *Spec) cached(key string, build func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry == nil {
		s.expiry = time.AfterFunc(s.opts.Idle, s.drop)
	} else {
		s.expiry.Reset(s.opts.Idle)
	}
	if b, ok := s.cache[key]; ok {
		return b, nil
	}
	b, err := build()
	if err != nil {
		return nil, fmt.Errorf("build openapi %s: %w", key, err)
	}
	s.cache[key] = b
	return b, nil
}

func (s *Spec) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.cache)
}

// V2 is the whole API as OpenAPI v2 JSON.
func (s *Spec) V2() ([]byte, error) { return s.cached("v2"+s.hash("v2"), s.buildV2) }

// V2Proto is V2 in gnostic's protobuf form.
func (s *Spec) V2Proto() ([]byte, error) {
	return s.cached("v2pb"+s.hash("v2"), func() ([]byte, error) {
		doc, err := s.buildV2()
		if err != nil {
			return nil, err
		}
		d, err := openapi_v2.ParseDocument(doc)
		if err != nil {
			return nil, err
		}
		return proto.Marshal(d)
	})
}

// V3 is one group version as OpenAPI v3 JSON; path is "api/v1" or "apis/<group>/<version>". ok is false when
// there is none.
func (s *Spec) V3(path string) (doc []byte, ok bool, err error) {
	build, ok := s.builder(path)
	if !ok {
		return nil, false, nil
	}
	doc, err = s.cached("v3:"+path+s.hash(path), build)
	return doc, true, err
}

// V3Proto is V3 in gnostic's protobuf form.
func (s *Spec) V3Proto(path string) (doc []byte, ok bool, err error) {
	build, ok := s.builder(path)
	if !ok {
		return nil, false, nil
	}
	doc, err = s.cached("v3pb:"+path+s.hash(path), func() ([]byte, error) {
		text, err := build()
		if err != nil {
			return nil, err
		}
		d, err := openapi_v3.ParseDocument(text)
		if err != nil {
			return nil, err
		}
		return proto.Marshal(d)
	})
	return doc, true, err
}

func (s *Spec) builder(path string) (func() ([]byte, error), bool) {
	s.mu.Lock()
	e, ok := s.extra[path]
	s.mu.Unlock()
	if ok {
		return e.build, true
	}
	for _, gv := range s.groupVersions() {
		if pathOf(gv) == path {
			return func() ([]byte, error) { return s.buildV3(gv) }, true
		}
	}
	return nil, false
}

func (s *Spec) groupVersions() (out []schema.GroupVersion) {
	for _, k := range s.registry.Kinds() {
		for _, v := range k.Versions {
			if gv := v.GroupVersion(); !v.Unserved && !slices.Contains(out, gv) {
				out = append(out, gv)
			}
		}
	}
	return out
}

func pathOf(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "api/" + gv.Version
	}
	return "apis/" + gv.Group + "/" + gv.Version
}

type object = map[string]any

func (s *Spec) info() object { return object{"title": "Kubernetes", "version": s.opts.Version} }

func (s *Spec) buildV2() ([]byte, error) {
	b := s.newBuilder(false)
	paths := object{}
	for _, gv := range s.groupVersions() {
		for p, ops := range s.paths(gv) {
			paths[p] = b.pathV2(ops)
		}
	}
	return json.Marshal(object{
		"swagger": "2.0", "info": s.info(), "paths": paths, "definitions": b.finish(),
		"securityDefinitions": object{"BearerToken": bearerScheme()}, "security": []any{object{"BearerToken": []string{}}},
	})
}

func (s *Spec) buildV3(gv schema.GroupVersion) ([]byte, error) {
	b := s.newBuilder(true)
	paths := object{}
	for p, ops := range s.paths(gv) {
		paths[p] = b.pathV3(ops)
	}
	return json.Marshal(object{
		"openapi": "3.0.0", "info": s.info(), "paths": paths,
		"components": object{"schemas": b.finish(), "securitySchemes": object{"BearerToken": bearerScheme()}},
	})
}

func bearerScheme() object {
	return object{"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}
}

func (s *Spec) newBuilder(v3 bool) *builder {
	b := &builder{v3: v3, markers: s.opts.Markers, defs: map[string]object{}, gvks: map[reflect.Type][]schema.GroupVersionKind{}}
	for _, k := range s.registry.Kinds() {
		if k.Custom != nil {
			continue
		}
		for _, v := range k.Versions {
			t := elem(v.New())
			b.gvks[t] = append(b.gvks[t], v.GroupVersion().WithKind(k.Kind))
			if v.NewList != nil {
				if l := v.NewList(); l != nil {
					b.gvks[elem(l)] = append(b.gvks[elem(l)], v.GroupVersion().WithKind(k.Kind+"List"))
				}
			}
		}
	}
	for t, gvk := range bodyKinds() {
		if !slices.Contains(b.gvks[t], gvk) {
			b.gvks[t] = append(b.gvks[t], gvk)
		}
	}
	for _, gv := range s.groupVersions() {
		if s.revisions(gv) != "" {
			continue // as upstream, which knows but the built-in ones here
		}
		b.gvks[deleteOptions] = append(b.gvks[deleteOptions], gv.WithKind("DeleteOptions"))
	}
	b.gvks[statusType] = []schema.GroupVersionKind{{Version: "v1", Kind: "Status"}}
	return b
}
