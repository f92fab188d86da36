package build

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// Plan is what a Dockerfile asks for before any base image is known: the stages needed for the target and what
// each needs. expand.go turns a stage into steps once its base is there. Both are pure.
type Plan struct {
	Stages []*Stage // all of the file, by index; only Needed ones are built
	Target int
	escape rune
	meta   *vars // global ARGs
}

// Stage is one FROM and what follows.
type Stage struct {
	Index    int
	Name     string // as given with AS, lower case; else ""
	Line     int
	Text     string // the FROM line
	Base     Source
	Platform string // of the base, "" for the target's
	Needed   bool
	Needs    []int // stages that must be done first
	commands []instructions.Command
}

// Source is where files come from: one of a stage, an image, nothing (scratch), or the context.
type Source struct {
	Stage   int // -1 when none
	Image   string
	Scratch bool
}

// fromContext is the source of a COPY without --from.
var fromContext = Source{Stage: -1}

func (s Source) context() bool { return s == fromContext }

func (s Source) String() string {
	switch {
	case s.Scratch:
		return "scratch"
	case s.Stage >= 0:
		return "stage " + strconv.Itoa(s.Stage)
	case s.Image != "":
		return "image " + s.Image
	}
	return "context"
}

// input is the part of Options that a plan depends on.
type input struct {
	file           string // name for messages
	data           []byte
	args           map[string]string
	target         string
	platform       image.Platform // of the result
	buildPlatform  image.Platform // of this machine
	defaultNetwork string
}

func newPlan(in input) (*Plan, error) {
	if len(in.data) > 4<<20 {
		return nil, fault.New(fault.Invalid, "%s is larger than 4 MiB", in.file)
	}
	res, err := parser.Parse(bytes.NewReader(in.data))
	if err != nil {
		return nil, located(in.file, nil, err)
	}
	stages, metaArgs, err := instructions.Parse(res.AST, nil)
	if err != nil {
		return nil, located(in.file, nil, err)
	}
	if len(stages) == 0 {
		return nil, fault.New(fault.Invalid, "%s has no FROM", in.file)
	}
	p := &Plan{escape: res.EscapeToken, meta: globalVars(in)}
	for _, a := range metaArgs {
		if err := p.meta.declareGlobal(&a, p.escape, in.args); err != nil {
			return nil, located(in.file, a.Location(), err)
		}
	}
	for i := range stages {
		s, err := p.outline(i, &stages[i])
		if err != nil {
			return nil, located(in.file, stages[i].Location, err)
		}
		p.Stages = append(p.Stages, s)
	}
	for _, s := range p.Stages {
		if err := p.findNeeds(in.file, s); err != nil {
			return nil, err
		}
	}
	if p.Target, err = p.find(in.target); err != nil {
		return nil, err
	}
	p.need(p.Target)
	return p, nil
}

func (p *Plan) outline(i int, st *instructions.Stage) (*Stage, error) {
	lex := shell.NewLex(p.escape)
	base, err := expandWord(lex, st.BaseName, p.meta)
	if err != nil {
		return nil, err
	}
	if base == "" {
		return nil, fault.New(fault.Invalid, "base name (%s) should not be blank", st.BaseName)
	}
	platform, err := expandWord(lex, st.Platform, p.meta)
	if err != nil {
		return nil, err
	}
	s := &Stage{Index: i, Name: st.Name, Text: st.SourceCode, Platform: platform, commands: st.Commands}
	if len(st.Location) > 0 {
		s.Line = st.Location[0].Start.Line
	}
	s.Base = p.source(base, i, false)
	if base == "scratch" {
		s.Base = Source{Stage: -1, Scratch: true}
	}
	return s, nil
}

// source reads a name: an earlier stage's name, with byIndex also its number, else an image.
func (p *Plan) source(name string, before int, byIndex bool) Source {
	for _, s := range p.Stages[:min(before, len(p.Stages))] {
		if s.Name != "" && strings.EqualFold(s.Name, name) {
			return Source{Stage: s.Index}
		}
	}
	if n, err := strconv.Atoi(name); err == nil && byIndex && n >= 0 && n < before {
		return Source{Stage: n}
	}
	return Source{Stage: -1, Image: name}
}

func (p *Plan) findNeeds(file string, s *Stage) error {
	add := func(src Source) {
		if src.Stage >= 0 {
			s.Needs = append(s.Needs, src.Stage)
		}
	}
	add(s.Base)
	for _, c := range s.commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if c.From != "" {
				add(p.source(c.From, s.Index, true))
			}
		case *instructions.RunCommand:
			for _, m := range instructions.GetMounts(c) {
				if m.From != "" {
					add(p.source(m.From, s.Index, true))
				}
			}
		case *instructions.OnbuildCommand:
			if err := checkOnbuild(c.Expression); err != nil {
				return located(file, c.Location(), err)
			}
		}
	}
	return nil
}

func checkOnbuild(expr string) error {
	word, _, _ := strings.Cut(strings.TrimSpace(expr), " ")
	switch strings.ToUpper(word) {
	case "ONBUILD":
		return fault.New(fault.Invalid, "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
	case "FROM", "MAINTAINER":
		return fault.New(fault.Invalid, "%s isn't allowed as an ONBUILD trigger", word)
	}
	return nil
}

func (p *Plan) find(target string) (int, error) {
	if target == "" {
		return len(p.Stages) - 1, nil
	}
	if s := p.source(target, len(p.Stages), true); s.Stage >= 0 {
		return s.Stage, nil
	}
	return 0, fault.New(fault.Invalid, "target stage %q could not be found", target)
}

func (p *Plan) need(i int) {
	if s := p.Stages[i]; !s.Needed {
		s.Needed = true
		for _, n := range s.Needs {
			p.need(n)
		}
	}
}

// located puts "file:line:" in front of an error of an instruction.
func located(file string, at []parser.Range, err error) error {
	var withRange *parser.LocationError
	if len(at) == 0 && asLocation(err, &withRange) && len(withRange.Locations) > 0 {
		at = withRange.Locations[0]
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "dockerfile parse error on line") {
		err = inner // it says the line a second time
	}
	kind := fault.Of(err)
	if kind == fault.Internal {
		kind = fault.Invalid
	}
	if len(at) == 0 {
		return fault.New(kind, "%s: %w", file, err)
	}
	return fault.New(kind, "%s:%d: %w", file, at[0].Start.Line, err)
}

func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.Stages {
		mark := " "
		if s.Needed {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s stage %d %q from %s needs %v\n", mark, s.Index, s.Name, s.Base, s.Needs)
	}
	fmt.Fprintf(&b, "target %d\n", p.Target)
	return b.String()
}
