package image

import (
	"strings"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

// DefaultRegistry is what a name without a host means.
const DefaultRegistry = "docker.io"

// Ref is a normalised image reference. Registry and Repository are never empty; at least one of Tag and Digest is set.
type Ref struct {
	Registry   string // "docker.io", "localhost:5000"
	Repository string // "library/nginx"
	Tag        string
	Digest     digest.Digest
}

// ParseRef reads what a user types with docker's rules: "nginx" is docker.io/library/nginx:latest, and the
// first part is a host only when it contains a dot or a colon or is "localhost". Errors are fault.Invalid.
func ParseRef(s string) (Ref, error) {
	r, err := parseRef(s)
	if err != nil {
		return Ref{}, fault.New(fault.Invalid, "image reference %q: %w", s, err)
	}
	return r, nil
}

func parseRef(s string) (Ref, error) {
	if s == "" {
		return Ref{}, fault.New(fault.Invalid, "is empty")
	}
	if len(s) > 1024 {
		return Ref{}, fault.New(fault.Invalid, "is longer than 1024 bytes")
	}
	var r Ref
	name, dig, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		r.Digest = digest.Digest(dig)
		if err := r.Digest.Validate(); err != nil {
			return Ref{}, err
		}
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.Contains(name[i:], "/") {
		name, r.Tag = name[:i], name[i+1:]
		if !validTag(r.Tag) {
			return Ref{}, fault.New(fault.Invalid, "tag %q is not [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", r.Tag)
		}
	}
	r.Registry, r.Repository = splitHost(name)
	if err := validRepository(r.Repository); err != nil {
		return Ref{}, err
	}
	if !validHost(r.Registry) {
		return Ref{}, fault.New(fault.Invalid, "%q is not a registry host", r.Registry)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

func splitHost(name string) (host, repo string) {
	host, repo, ok := strings.Cut(name, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost" && strings.ToLower(host) == host) {
		host, repo = DefaultRegistry, name
	}
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = DefaultRegistry
	}
	if host == DefaultRegistry && !strings.Contains(repo, "/") {
		repo = "library/" + repo
	}
	return host, repo
}

// Name is registry/repository without tag and digest.
func (r Ref) Name() string { return r.Registry + "/" + r.Repository }

// String is the full, normalised form.
func (r Ref) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// Familiar is the shortest form that means the same, as docker prints it.
func (r Ref) Familiar() string {
	s := r.String()
	if rest, ok := strings.CutPrefix(s, DefaultRegistry+"/"); ok {
		s = rest
		if short, ok := strings.CutPrefix(rest, "library/"); ok {
			s = short
		}
	}
	return s
}

func validTag(t string) bool {
	if t == "" || len(t) > 128 || t[0] == '.' || t[0] == '-' {
		return false
	}
	for i := range len(t) {
		if !isAlnum(t[i]) && t[i] != '_' && t[i] != '.' && t[i] != '-' {
			return false
		}
	}
	return true
}

// validRepository checks the grammar of distribution's reference: lower-case components
// separated by "/", with ".", "_", "__" or dashes only between letters and digits.
func validRepository(repo string) error {
	if len(repo) > 255 {
		return fault.New(fault.Invalid, "repository name is longer than 255 bytes")
	}
	for part := range strings.SplitSeq(repo, "/") {
		if !validComponent(part) {
			if strings.ToLower(part) != part {
				return fault.New(fault.Invalid, "repository name %q must be lower case", repo)
			}
			return fault.New(fault.Invalid, "repository name %q has an invalid part %q", repo, part)
		}
	}
	return nil
}

func validComponent(p string) bool {
	if p == "" || !isLowerNum(p[0]) || !isLowerNum(p[len(p)-1]) {
		return false
	}
	for i := 0; i < len(p); i++ {
		if isLowerNum(p[i]) {
			continue
		}
		j := i
		for j < len(p) && !isLowerNum(p[j]) {
			j++
		}
		if sep := p[i:j]; sep != "." && sep != "_" && sep != "__" && strings.Trim(sep, "-") != "" {
			return false
		}
		i = j
	}
	return true
}

func validHost(h string) bool {
	host, port := h, ""
	if i := strings.LastIndexByte(h, ':'); i >= 0 && !strings.HasSuffix(h, "]") {
		host, port = h[:i], h[i+1:]
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return len(host) > 2 && strings.Trim(host[1:len(host)-1], "0123456789abcdefABCDEF:.") == ""
	}
	for part := range strings.SplitSeq(host, ".") {
		if part == "" || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for i := range len(part) {
			if !isAlnum(part[i]) && part[i] != '-' {
				return false
			}
		}
	}
	return true
}

func isLowerNum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func isAlnum(c byte) bool    { return isLowerNum(c) || c >= 'A' && c <= 'Z' }
