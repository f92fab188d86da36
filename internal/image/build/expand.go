package build

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Step is one instruction with every variable expanded. At most one of Run, Copy and Workdir is set: the others
// only change the config.
type Step struct {
	Line    int
	Text    string // as written, for people
	History string // for the image's history
	Run     *Run
	Copy    *Copy
	Workdir string // directory to make
}

// Run is a RUN.
type Run struct {
	Args    []string
	Env     []string
	hidden  []string // proxy settings: seen by the command, not by the cache
	Dir     string
	User    string
	Network string
	Mounts  []RunMount
}

// RunMount is a RUN --mount, or the script of a heredoc (Data).
type RunMount struct {
	*instructions.Mount
	Src  Source
	Data string
}

// Copy is a COPY or ADD.
type Copy struct {
	From         Source
	Sources      []string
	Files        []instructions.SourceContent // heredocs
	Dest         string                       // absolute; a final "/" means: a directory
	Chown, Chmod string
	Exclude      []string
	Link         bool
	Parents      bool
	Add          bool
	Checksum     string
	Unpack       *bool
}

// expander walks one stage.
type expander struct {
	p      *Plan
	in     *input
	st     *Stage
	vars   vars
	cfg    *v1.ConfigFile
	steps  []Step
	cmdSet bool
	lex    *shell.Lex
}

// expand turns a stage into steps and gives the config of its result, without layers and history. base is the
// config of what FROM names, nil for scratch.
func (p *Plan) expand(in *input, st *Stage, base *v1.ConfigFile) ([]Step, *v1.ConfigFile, error) {
	x := &expander{p: p, in: in, st: st, lex: shell.NewLex(p.escape)}
	if base == nil {
		x.cfg = &v1.ConfigFile{OS: in.platform.OS, Architecture: in.platform.Architecture, Variant: in.platform.Variant}
		x.cfg.Config.Env = []string{"PATH=" + defaultPath}
	} else {
		x.cfg = base.DeepCopy()
	}
	x.vars = vars{args: map[string]string{}, env: x.cfg.Config.Env}
	triggers := x.cfg.Config.OnBuild
	x.cfg.Config.OnBuild = nil
	for _, t := range triggers {
		if err := x.trigger(t); err != nil {
			return nil, nil, located(in.file, []parser.Range{{Start: parser.Position{Line: st.Line}}}, fmt.Errorf("ONBUILD %s: %w", t, err))
		}
	}
	for _, c := range st.commands {
		if err := x.command(c, c.Location()); err != nil {
			return nil, nil, located(in.file, c.Location(), err)
		}
	}
	return x.steps, x.cfg, nil
}

func (x *expander) trigger(text string) error {
	res, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return err
	}
	for _, n := range res.AST.Children {
		c, err := instructions.ParseCommand(n)
		if err != nil {
			return err
		}
		if err := x.command(c, []parser.Range{{Start: parser.Position{Line: x.st.Line}}}); err != nil {
			return err
		}
	}
	return nil
}

func (x *expander) word(w string) (string, error) {
	x.vars.env = x.cfg.Config.Env
	return expandWord(x.lex, w, &x.vars)
}

func (x *expander) command(c instructions.Command, at []parser.Range) error {
	if e, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := e.Expand(x.word); err != nil {
			return err
		}
	}
	if e, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		raw := shell.NewLex(x.p.escape)
		raw.SkipProcessQuotes = true
		if err := e.ExpandRaw(func(w string) (string, error) { return expandWord(raw, w, &x.vars) }); err != nil {
			return err
		}
	}
	s := Step{Text: fmt.Sprint(c), History: fmt.Sprint(c)}
	if len(at) > 0 {
		s.Line = at[0].Start.Line
	}
	if err := x.apply(c, &s); err != nil {
		return err
	}
	x.steps = append(x.steps, s)
	return nil
}

func (x *expander) apply(c instructions.Command, s *Step) error {
	cfg := &x.cfg.Config
	switch c := c.(type) {
	case *instructions.RunCommand:
		return x.run(c, s)
	case *instructions.CopyCommand:
		return x.copy(c, s)
	case *instructions.AddCommand:
		return x.add(c, s)
	case *instructions.WorkdirCommand:
		cfg.WorkingDir = x.abs(c.Path)
		s.Workdir = cfg.WorkingDir
	case *instructions.ArgCommand:
		for _, kv := range c.Args {
			x.vars.declare(kv, x.in.args, x.p.meta)
		}
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			cfg.Env = setEnv(cfg.Env, kv.Key, kv.Value)
		}
	case *instructions.LabelCommand:
		cfg.Labels = maps.Clone(cfg.Labels)
		if cfg.Labels == nil {
			cfg.Labels = map[string]string{}
		}
		for _, kv := range c.Labels {
			cfg.Labels[kv.Key] = kv.Value
		}
	case *instructions.MaintainerCommand:
		x.cfg.Author = c.Maintainer
	case *instructions.UserCommand:
		cfg.User = c.User
	case *instructions.CmdCommand:
		cfg.Cmd, x.cmdSet = x.shellForm(c.ShellDependantCmdLine), true
	case *instructions.EntrypointCommand:
		cfg.Entrypoint = x.shellForm(c.ShellDependantCmdLine)
		if !x.cmdSet {
			cfg.Cmd = nil // the base's CMD was meant for the base's ENTRYPOINT
		}
	case *instructions.ShellCommand:
		cfg.Shell = c.Shell
	case *instructions.StopSignalCommand:
		cfg.StopSignal = c.Signal
	case *instructions.ExposeCommand:
		return x.expose(c)
	case *instructions.VolumeCommand:
		cfg.Volumes = maps.Clone(cfg.Volumes)
		if cfg.Volumes == nil {
			cfg.Volumes = map[string]struct{}{}
		}
		for _, v := range c.Volumes {
			if v == "" {
				return fault.New(fault.Invalid, "VOLUME specified can not be an empty string")
			}
			cfg.Volumes[v] = struct{}{}
		}
	case *instructions.HealthCheckCommand:
		h := c.Health
		cfg.Healthcheck = &v1.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	case *instructions.OnbuildCommand:
		cfg.OnBuild = append(slices.Clip(cfg.OnBuild), c.Expression)
	default:
		return fault.New(fault.Unsupported, "instruction %s is not supported", strings.ToUpper(c.Name()))
	}
	return nil
}

func (x *expander) abs(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join("/", x.cfg.Config.WorkingDir, p)
}

func (x *expander) shell() []string {
	if len(x.cfg.Config.Shell) > 0 {
		return x.cfg.Config.Shell
	}
	return []string{"/bin/sh", "-c"}
}

func (x *expander) shellForm(l instructions.ShellDependantCmdLine) []string {
	if !l.PrependShell || len(l.CmdLine) == 0 {
		return l.CmdLine
	}
	return append(slices.Clone(x.shell()), strings.Join(l.CmdLine, " "))
}

func (x *expander) expose(c *instructions.ExposeCommand) error {
	cfg := &x.cfg.Config
	cfg.ExposedPorts = maps.Clone(cfg.ExposedPorts)
	if cfg.ExposedPorts == nil {
		cfg.ExposedPorts = map[string]struct{}{}
	}
	x.vars.env = cfg.Env
	for _, p := range c.Ports {
		words, err := x.lex.ProcessWords(p, &x.vars)
		if err != nil {
			return err
		}
		for _, w := range words {
			if err := exposePorts(cfg.ExposedPorts, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// exposePorts adds "80", "80/udp" or "8000-8010/tcp".
func exposePorts(to map[string]struct{}, w string) error {
	ports, proto, _ := strings.Cut(w, "/")
	proto = strings.ToLower(cmp.Or(proto, "tcp"))
	lo, hi, isRange := strings.Cut(ports, "-")
	if !isRange {
		hi = lo
	}
	var a, b uint16
	if _, err := fmt.Sscanf(lo+" "+hi, "%d %d", &a, &b); err != nil || a > b || (proto != "tcp" && proto != "udp" && proto != "sctp") {
		return fault.New(fault.Invalid, "invalid containerPort: %s", w)
	}
	for n := int(a); n <= int(b); n++ {
		to[fmt.Sprintf("%d/%s", n, proto)] = struct{}{}
	}
	return nil
}
