package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Read reads a YAML file; what is wrong in it is said with its line: a key it does not know, one that is there twice,
// a value that is no such value.
func Read(path string) (Config, error) {
	var c Config
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, fault.New(fault.Invalid, "read config: %w", err)
	}
	line, err := c.parse(raw)
	if err == nil {
		return c, nil
	}
	if line > 0 {
		path = fmt.Sprintf("%s:%d", path, line)
	}
	return Config{}, fault.New(fault.Invalid, "config %s: %w", path, err)
}

// parse gives the line of what is wrong, 0 where the error says it itself.
func (c *Config) parse(raw []byte) (line int, err error) {
	var file yamlv3.Node
	if err := yamlv3.Unmarshal(raw, &file); err != nil {
		return 0, err
	}
	if len(file.Content) == 0 { // empty, or comments only
		return 0, nil
	}
	root := file.Content[0]
	if root.Kind == yamlv3.ScalarNode && root.Tag == "!!null" {
		return 0, nil
	}
	if at, err := fits(root, reflect.TypeFor[Config](), ""); err != nil {
		return at.Line, err
	}
	if err := yaml.UnmarshalStrict(raw, c); err != nil {
		return 0, err
	}
	key, err := c.check()
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			line = root.Content[i].Line
		}
	}
	return line, err
}

// fits tells whether a node can become a value of type t, and where it cannot.
func fits(n *yamlv3.Node, t reflect.Type, key string) (*yamlv3.Node, error) {
	for n.Kind == yamlv3.AliasNode {
		n = n.Alias
	}
	if n.Tag == "!!null" {
		return nil, nil
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return mappingFits(n, t, key)
	case reflect.Slice:
		if n.Kind != yamlv3.SequenceNode {
			return n, fmt.Errorf("%s is a list", key)
		}
		for _, item := range n.Content {
			if at, err := fits(item, t.Elem(), key); err != nil {
				return at, err
			}
		}
	case reflect.Int:
		if n.Tag != "!!int" {
			return n, fmt.Errorf("%s %q: use a whole number", key, n.Value)
		}
	default:
		if n.Tag != "!!str" {
			return n, fmt.Errorf("%s is text: put it in quotes", key)
		}
	}
	return nil, nil
}

func mappingFits(n *yamlv3.Node, t reflect.Type, parent string) (*yamlv3.Node, error) {
	if n.Kind != yamlv3.MappingNode {
		if parent == "" {
			return n, fmt.Errorf("a config has lines with KEY: VALUE")
		}
		return n, fmt.Errorf("%s has lines with KEY: VALUE below it", parent)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		full := strings.TrimPrefix(parent+"."+k.Value, ".")
		if seen[k.Value] {
			return k, fmt.Errorf("%s is there twice", full)
		}
		seen[k.Value] = true
		value, known := valueType(t, k.Value)
		if !known {
			return k, fmt.Errorf("unknown key %s: use %s", full, strings.Join(keys(t), ", "))
		}
		if at, err := fits(n.Content[i+1], value, full); err != nil {
			return at, err
		}
	}
	return nil, nil
}

// valueType is what stands below a key of t: any key of a map, a field's JSON name of a struct.
func valueType(t reflect.Type, key string) (reflect.Type, bool) {
	if t.Kind() == reflect.Map {
		return t.Elem(), true
	}
	for i, name := range keys(t) {
		if name == key {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

func keys(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
