package build

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// vars are the variables an instruction sees: build arguments in scope, over them the environment.
type vars struct {
	args map[string]string
	env  []string
}

// Get is shell.EnvGetter: ENV wins over ARG of the same name, whatever their order.
func (v *vars) Get(k string) (string, bool) {
	for _, kv := range slices.Backward(v.env) {
		if name, val, _ := strings.Cut(kv, "="); name == k {
			return val, true
		}
	}
	s, ok := v.args[k]
	return s, ok
}

// Keys is shell.EnvGetter.
func (v *vars) Keys() []string {
	keys := slices.Collect(maps.Keys(v.args))
	for _, kv := range v.env {
		k, _, _ := strings.Cut(kv, "=")
		keys = append(keys, k)
	}
	return keys
}

// setEnv replaces or appends one variable, keeping the order of first appearance.
func setEnv(env []string, k, v string) []string {
	for i, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); name == k {
			env = slices.Clone(env)
			env[i] = k + "=" + v
			return env
		}
	}
	return append(slices.Clip(env), k+"="+v)
}

// runEnv is what a RUN gets: the environment and the arguments that it does not hide, sorted.
func (v *vars) runEnv() []string {
	env := slices.Clone(v.env)
	hidden := map[string]bool{}
	for _, kv := range env {
		k, _, _ := strings.Cut(kv, "=")
		hidden[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(v.args)) {
		if !hidden[k] {
			env = append(env, k+"="+v.args[k])
		}
	}
	return env
}

// proxyArgs may be given without being declared; RUN sees them and the cache does not
// (docs.docker.com/reference/dockerfile, "Predefined ARGs").
func proxyArgs(args map[string]string) []string {
	var env []string
	for _, k := range []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"} {
		for _, name := range []string{k, strings.ToLower(k)} {
			if v, ok := args[name]; ok {
				env = append(env, name+"="+v)
			}
		}
	}
	return env
}

// globalVars are the platform arguments every FROM may use.
func globalVars(in input) *vars {
	v := &vars{args: map[string]string{}}
	for prefix, p := range map[string]image.Platform{"TARGET": in.platform, "BUILD": in.buildPlatform} {
		v.args[prefix+"PLATFORM"] = p.String()
		v.args[prefix+"OS"] = p.OS
		v.args[prefix+"ARCH"] = p.Architecture
		v.args[prefix+"VARIANT"] = p.Variant
	}
	for k := range v.args {
		if given, ok := in.args[k]; ok {
			v.args[k] = given
		}
	}
	return v
}

func (v *vars) declareGlobal(a *instructions.ArgCommand, escape rune, given map[string]string) error {
	lex := shell.NewLex(escape)
	for _, kv := range a.Args {
		if val, ok := given[kv.Key]; ok {
			v.args[kv.Key] = val
		} else if kv.Value != nil {
			val, err := expandWord(lex, *kv.Value, v)
			if err != nil {
				return err
			}
			v.args[kv.Key] = val
		}
	}
	return nil
}

// declare brings an ARG of a stage into scope: a given value, else its default, else the global one.
func (v *vars) declare(kv instructions.KeyValuePairOptional, given map[string]string, global *vars) {
	if val, ok := given[kv.Key]; ok {
		v.args[kv.Key] = val
	} else if kv.Value != nil {
		v.args[kv.Key] = *kv.Value
	} else if val, ok := global.args[kv.Key]; ok {
		v.args[kv.Key] = val
	}
}

func expandWord(lex *shell.Lex, word string, v *vars) (string, error) {
	if word == "" {
		return "", nil
	}
	out, _, err := lex.ProcessWord(word, v)
	return out, err
}

func asLocation(err error, to **parser.LocationError) bool { return errors.As(err, to) }
