package spec

import (
	"errors"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command: a Command replaces the image's entrypoint and default arguments, Args only the latter.
func command(in *Input, s *specs.Spec) error {
	entry, args := in.Command, in.Args
	if len(entry) == 0 {
		entry = in.Image.Entrypoint
		if len(args) == 0 {
			args = in.Image.Cmd
		}
	}
	s.Process.Args = slices.Concat(entry, args)
	if len(s.Process.Args) == 0 {
		return errors.New("no command: neither the container nor the image has one")
	}
	if s.Process.Args[0] == "" {
		return errors.New("the command is empty")
	}
	return nil
}

func environment(in *Input, s *specs.Spec) error {
	env := []string{defaultPath}
	if in.Hostname != "" {
		env = append(env, "HOSTNAME="+in.Hostname)
	}
	if in.TTY {
		env = append(env, "TERM=xterm")
	}
	at := map[string]int{}
	for i, e := range env {
		k, _, _ := strings.Cut(e, "=")
		at[k] = i
	}
	for _, e := range slices.Concat(in.Image.Env, in.Env) {
		k, _, _ := strings.Cut(e, "=")
		if strings.ContainsRune(e, 0) {
			return errors.New("environment variable " + k + " holds a zero byte")
		}
		if i, ok := at[k]; ok {
			env[i] = e
			continue
		}
		at[k] = len(env)
		env = append(env, e)
	}
	s.Process.Env = env
	return nil
}

func workingDir(in *Input, s *specs.Spec) error {
	dir := in.WorkingDir
	if dir == "" {
		dir = in.Image.WorkingDir
	}
	s.Process.Cwd = path.Join("/", dir)
	return nil
}

func user(in *Input, s *specs.Spec) error {
	u := &s.Process.User
	if in.Security.UID != nil {
		u.UID = *in.Security.UID
	}
	if in.Security.GID != nil {
		u.GID = *in.Security.GID
	}
	u.AdditionalGids = in.Security.SupplementalGIDs
	u.Umask = in.Security.Umask
	return nil
}

func terminal(in *Input, s *specs.Spec) error {
	s.Process.Terminal = in.TTY
	if in.Width > 0 && in.Height > 0 {
		s.Process.ConsoleSize = &specs.Box{Width: uint(in.Width), Height: uint(in.Height)}
	}
	return nil
}

func limits(in *Input, s *specs.Spec) error {
	s.Process.Rlimits = in.Rlimits
	s.Process.OOMScoreAdj = in.OOMScoreAdj
	return nil
}

func annotations(in *Input, s *specs.Spec) error {
	s.Annotations = in.Annotations
	return nil
}
