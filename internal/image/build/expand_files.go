package build

import (
	"path"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func (x *expander) run(c *instructions.RunCommand, s *Step) error {
	x.vars.env = x.cfg.Config.Env
	r := &Run{
		Env: x.vars.runEnv(), hidden: proxyArgs(x.in.args), User: x.cfg.Config.User,
		Dir: path.Join("/", x.cfg.Config.WorkingDir), Network: instructions.GetNetwork(c),
	}
	if r.Network == "default" || r.Network == "" {
		r.Network = x.in.defaultNetwork
	}
	if instructions.GetSecurity(c) == instructions.SecurityInsecure {
		return fault.New(fault.Unsupported, "RUN --security=insecure is not supported")
	}
	for _, m := range instructions.GetMounts(c) {
		src := fromContext
		if m.From != "" {
			src = x.p.source(m.From, x.st.Index, true)
		}
		if m.Type == instructions.MountTypeSSH {
			return fault.New(fault.Unsupported, "RUN --mount=type=ssh is not supported: use a secret")
		}
		mm := *m
		if mm.Target != "" {
			mm.Target = x.abs(mm.Target)
		}
		r.Mounts = append(r.Mounts, RunMount{Mount: &mm, Src: src})
	}
	args, script, err := heredoc(c)
	if err != nil {
		return err
	}
	if script != nil {
		r.Mounts = append(r.Mounts, *script)
		r.Args = []string{script.Target}
	} else {
		r.Args = x.shellForm(instructions.ShellDependantCmdLine{CmdLine: args, PrependShell: c.PrependShell})
	}
	s.Run = r
	return nil
}

// heredoc gives the command line with here-documents put back for the shell, or the script to run when the only one
// begins with "#!".
func heredoc(c *instructions.RunCommand) ([]string, *RunMount, error) {
	if len(c.Files) == 0 {
		return c.CmdLine, nil, nil
	}
	if len(c.CmdLine) != 1 || !c.PrependShell {
		return nil, nil, fault.New(fault.Invalid, "a here-document needs the shell form of RUN")
	}
	first := c.Files[0]
	if parser.MustParseHeredoc(c.CmdLine[0]) == nil {
		full := c.CmdLine[0]
		for _, f := range c.Files {
			full += "\n" + f.Data + f.Name
		}
		return []string{full}, nil, nil
	}
	data := first.Data
	if first.Chomp {
		data = parser.ChompHeredocContent(data)
	}
	if strings.HasPrefix(data, "#!") {
		m := &instructions.Mount{Type: instructions.MountTypeBind, Target: "/dev/pipes/" + path.Base(path.Join("/", first.Name)), ReadOnly: true}
		return nil, &RunMount{Mount: m, Src: fromContext, Data: data}, nil
	}
	return []string{data}, nil, nil
}

func (x *expander) copy(c *instructions.CopyCommand, s *Step) error {
	from := fromContext
	if c.From != "" {
		from = x.p.source(c.From, x.st.Index, true)
	}
	s.Copy = &Copy{
		From: from, Sources: slices.Clone(c.SourcePaths), Files: slices.Clone(c.SourceContents), Dest: x.dest(c.DestPath),
		Chown: c.Chown, Chmod: c.Chmod, Exclude: c.ExcludePatterns, Link: c.Link, Parents: c.Parents,
	}
	return nil
}

func (x *expander) add(c *instructions.AddCommand, s *Step) error {
	s.Copy = &Copy{
		From: fromContext, Sources: slices.Clone(c.SourcePaths), Files: slices.Clone(c.SourceContents), Dest: x.dest(c.DestPath),
		Chown: c.Chown, Chmod: c.Chmod, Exclude: c.ExcludePatterns, Link: c.Link, Add: true, Checksum: c.Checksum, Unpack: c.Unpack,
	}
	for _, src := range c.SourcePaths {
		if isGit(src) {
			return fault.New(fault.Unsupported, "ADD of a git repository (%s) is not supported: clone it in a RUN", src)
		}
	}
	return nil
}

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

func isGit(s string) bool {
	base, _, _ := strings.Cut(s, "#")
	return strings.HasPrefix(s, "git@") || strings.HasPrefix(s, "git://") || strings.HasPrefix(s, "ssh://") || isURL(s) && strings.HasSuffix(base, ".git")
}

// dest is absolute and keeps the final "/" (or "/.") that says: a directory.
func (x *expander) dest(d string) string {
	abs := x.abs(d)
	if abs != "/" && (strings.HasSuffix(d, "/") || strings.HasSuffix(d, "/.") || d == "." || d == "./") {
		abs += "/"
	}
	return abs
}
