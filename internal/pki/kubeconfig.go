package pki

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Access is what a kubeconfig says about one cluster. Cluster, user and context all have the same Name.
type Access struct {
	Name   string // "dhow"
	Server string // "https://127.0.0.1:6443"
	CA     []byte // PEM
	Cert   []byte // PEM
	Key    []byte // PEM
}

// Kubeconfig is a file of its own for a.
func Kubeconfig(a Access) ([]byte, error) {
	out, _, err := mergeKubeconfig(nil, a)
	return out, err
}

// MergeKubeconfig writes a into the kubeconfig at path, which may be missing: entries of other names, their
// comments and the file's mode stay. The context becomes current when none was.
func MergeKubeconfig(path string, owner *Owner, a Access) error {
	return editKubeconfig(path, owner, func(old []byte) ([]byte, bool, error) { return mergeKubeconfig(old, a) })
}

// RemoveKubeconfig takes the entries called name out of the kubeconfig at path; a file that does not exist
// or has none is left alone. A file in which nothing else was goes, too, and a directory that had nothing but it.
func RemoveKubeconfig(path string, owner *Owner, name string) error {
	empty := false
	err := editKubeconfig(path, owner, func(old []byte) ([]byte, bool, error) {
		out, changed, err := removeKubeconfig(old, name)
		empty = err == nil && changed && saysNothing(out)
		return out, changed, err
	})
	if fi, lstat := os.Lstat(path); err != nil || !empty || lstat != nil || !fi.Mode().IsRegular() {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	if err := os.Remove(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.EBUSY) {
		return err
	}
	return nil
}

// saysNothing: it has no entries, and no key that we would not have written.
func saysNothing(data []byte) bool {
	_, top, err := parseKubeconfig(data)
	if err != nil {
		return false
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		switch v := top.Content[i+1]; top.Content[i].Value {
		case "apiVersion", "kind":
		case "clusters", "contexts", "users":
			if len(v.Content) > 0 {
				return false
			}
		case "current-context":
			if v.Value != "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func editKubeconfig(path string, owner *Owner, edit func([]byte) ([]byte, bool, error)) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	out, changed, err := edit(old)
	if err != nil {
		return fmt.Errorf("edit kubeconfig %s: %w", path, err)
	}
	if !changed {
		return nil
	}
	if err := replaceFile(path, owner, out); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// indentedList is a list whose items do not begin below their key.
var indentedList = regexp.MustCompile(`(?m)^(clusters|contexts|users):[^\n]*\n([ \t]*#[^\n]*\n)*[ \t]+-`) // never changed

const emptyKubeconfig = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n"

// parseKubeconfig returns the document and its top mapping.
func parseKubeconfig(data []byte) (doc, top *yaml.Node, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte(emptyKubeconfig)
	}
	doc = &yaml.Node{}
	if err := yaml.Unmarshal(data, doc); err != nil {
		return nil, nil, fault.New(fault.Invalid, "not YAML: %w; correct the file or point KUBECONFIG to another", err)
	}
	if doc.Kind != yaml.DocumentNode || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fault.New(fault.Invalid, "not a mapping; correct the file or point KUBECONFIG to another")
	}
	return doc, doc.Content[0], nil
}

func mergeKubeconfig(old []byte, a Access) ([]byte, bool, error) {
	doc, top, err := parseKubeconfig(old)
	if err != nil {
		return nil, false, err
	}
	before, err := encodeYAML(doc, old)
	if err != nil {
		return nil, false, err
	}
	b64 := base64.StdEncoding.EncodeToString
	for _, e := range []struct {
		list, item string
		fields     []string
	}{
		{"clusters", "cluster", []string{"certificate-authority-data", b64(a.CA), "server", a.Server}},
		{"contexts", "context", []string{"cluster", a.Name, "user", a.Name}},
		{"users", "user", []string{"client-certificate-data", b64(a.Cert), "client-key-data", b64(a.Key)}},
	} {
		list := child(top, e.list, yaml.SequenceNode)
		if list == nil {
			return nil, false, fault.New(fault.Invalid, "%s is not a list; correct the file or point KUBECONFIG to another", e.list)
		}
		entry := named(list, a.Name)
		if entry == nil {
			entry = &yaml.Node{Kind: yaml.MappingNode}
			list.Content = append(list.Content, entry)
			list.Style = 0 // no longer []
		}
		body := child(entry, e.item, yaml.MappingNode)
		if body == nil {
			return nil, false, fault.New(fault.Invalid, "%s of %q is not a mapping; correct the file or point KUBECONFIG to another", e.item, a.Name)
		}
		for i := 0; i < len(e.fields); i += 2 {
			setScalar(body, e.fields[i], e.fields[i+1])
		}
		setScalar(entry, "name", a.Name)
	}
	if value(top, "current-context") == "" {
		setScalar(top, "current-context", a.Name)
	}
	out, err := encodeYAML(doc, old)
	return out, len(old) == 0 || !bytes.Equal(before, out), err
}

func removeKubeconfig(old []byte, name string) ([]byte, bool, error) {
	if len(bytes.TrimSpace(old)) == 0 {
		return nil, false, nil
	}
	doc, top, err := parseKubeconfig(old)
	if err != nil {
		return nil, false, err
	}
	changed := false
	for _, key := range []string{"clusters", "contexts", "users"} {
		list := lookup(top, key)
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for i, e := range list.Content {
			if value(e, "name") == name {
				list.Content = append(list.Content[:i:i], list.Content[i+1:]...)
				changed = true
				break
			}
		}
	}
	if value(top, "current-context") == name {
		setScalar(top, "current-context", "")
		changed = true
	}
	if !changed {
		return nil, false, nil
	}
	out, err := encodeYAML(doc, old)
	return out, true, err
}

// encodeYAML writes doc in the manner of the file it is from, so that only our entries differ.
func encodeYAML(doc *yaml.Node, from []byte) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if !indentedList.Match(from) {
		e.CompactSeqIndent() // as kubectl
	}
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// lookup finds a key's value in a mapping.
func lookup(m *yaml.Node, key string) *yaml.Node {
	if m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func value(m *yaml.Node, key string) string {
	if n := lookup(m, key); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

// child finds or adds a value of the kind; a null becomes an empty one. nil when there is something else.
func child(m *yaml.Node, key string, kind yaml.Kind) *yaml.Node {
	n := lookup(m, key)
	if n == nil {
		n = &yaml.Node{Kind: kind}
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, n)
		return n
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		*n = yaml.Node{Kind: kind, HeadComment: n.HeadComment, LineComment: n.LineComment, FootComment: n.FootComment}
	}
	if n.Kind != kind {
		return nil
	}
	return n
}

func named(list *yaml.Node, name string) *yaml.Node {
	for _, e := range list.Content {
		if value(e, "name") == name {
			return e
		}
	}
	return nil
}

func setScalar(m *yaml.Node, key, text string) {
	n := lookup(m, key)
	if n == nil {
		n = &yaml.Node{}
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, n)
	}
	if n.Kind == yaml.ScalarNode && n.Value == text && n.Tag == "!!str" {
		return
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, LineComment: n.LineComment}
	if text == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
}
