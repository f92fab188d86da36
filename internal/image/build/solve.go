package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// Build makes the image, tags it and returns it. Stages that do not need each other are built at the same time.
// Errors carry file and line; a command that exited with another code than 0 is Invalid.
func Build(ctx context.Context, o Options) (image.Image, error) {
	b, err := newBuilder(o)
	if err != nil {
		return image.Image{}, fmt.Errorf("build: %w", err)
	}
	defer b.close()
	img, err := b.build(ctx)
	if err != nil {
		return image.Image{}, fmt.Errorf("build: %w", err)
	}
	return img, nil
}

type builder struct {
	o      Options
	in     input
	plan   *Plan
	ctx    *buildContext
	lease  *image.Lease
	stages []*stageRun
	total  int
	events sync.Mutex
	images sync.Mutex
	pulled map[string]image.Image
}

// stageRun is one stage being built once, however many need it.
type stageRun struct {
	once sync.Once
	base int // number of its first step
	out  result
	err  error
}

// result of a stage: what the next step stands on.
type result struct {
	layers []digest.Digest
	cfg    *v1.ConfigFile
}

func newBuilder(o Options) (*builder, error) {
	if o.Progress == nil {
		o.Progress = func(Event) {}
	}
	bc, err := openContext(&o)
	if err != nil {
		return nil, err
	}
	b := &builder{o: o, ctx: bc, lease: o.Store.NewLease(), pulled: map[string]image.Image{}}
	here := image.Platform{OS: "linux", Architecture: runtime.GOARCH}
	b.in = input{file: bc.dockerfile, data: bc.data, args: o.BuildArgs, target: o.Target, platform: here, buildPlatform: here, defaultNetwork: o.Network}
	if o.Platform != nil {
		b.in.platform = *o.Platform
	}
	if b.plan, err = newPlan(b.in); err != nil {
		b.close()
		return nil, err
	}
	for _, s := range b.plan.Stages {
		b.stages = append(b.stages, &stageRun{base: b.total + 1})
		if s.Needed {
			b.total += 1 + len(s.commands)
		}
	}
	return b, nil
}

func (b *builder) close() {
	b.ctx.close()
	b.lease.End()
}

func (b *builder) build(ctx context.Context) (image.Image, error) {
	out, err := b.stage(ctx, b.plan.Target)
	if err != nil {
		return image.Image{}, err
	}
	cfg := out.cfg
	if len(b.o.Labels) > 0 {
		cfg = cfg.DeepCopy()
		if cfg.Config.Labels == nil {
			cfg.Config.Labels = map[string]string{}
		}
		maps.Copy(cfg.Config.Labels, b.o.Labels)
	}
	img, err := b.o.Store.NewImage(cfg, out.layers, b.o.Tags...)
	if err != nil {
		return image.Image{}, err
	}
	return img, b.o.Store.FileHashes().Save()
}

// stage builds a stage and, before it, what it needs.
func (b *builder) stage(ctx context.Context, i int) (result, error) {
	r := b.stages[i]
	r.once.Do(func() {
		st := b.plan.Stages[i]
		g := run.New(ctx)
		for _, n := range slices.Compact(slices.Sorted(slices.Values(st.Needs))) {
			g.Go("stage", func(ctx context.Context) error {
				_, err := b.stage(ctx, n)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			r.err = unwrapStage(err)
			return
		}
		if err := ctx.Err(); err != nil {
			r.err = err
			return
		}
		r.out, r.err = b.runStage(ctx, st, r.base)
	})
	return r.out, r.err
}

// unwrapStage takes off the name run.Group put in front: the error has its file and line already.
func unwrapStage(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func (b *builder) runStage(ctx context.Context, st *Stage, first int) (result, error) {
	var cur result
	err := b.step(first, st, st.Text, func(*Event) error {
		var err error
		cur, err = b.from(ctx, st)
		return atLine(b.in.file, st.Line, err)
	})
	if err != nil {
		return result{}, err
	}
	steps, cfg, err := b.plan.expand(&b.in, st, cur.cfg)
	if err != nil {
		return result{}, err
	}
	history := []v1.History{}
	if cur.cfg != nil {
		history = slices.Clone(cur.cfg.History)
	}
	for n, s := range steps {
		var layer digest.Digest
		number := first + 1 + max(0, n-(len(steps)-len(st.commands)))
		err := b.step(number, st, s.Text, func(e *Event) error {
			var err error
			layer, err = b.solve(ctx, &s, cur, e)
			return atLine(b.in.file, s.Line, err)
		})
		if err != nil {
			return result{}, err
		}
		history = append(history, v1.History{CreatedBy: s.History, EmptyLayer: layer == ""})
		if layer != "" {
			cur.layers = append(slices.Clip(cur.layers), layer)
		}
	}
	cfg.History = history
	return result{cur.layers, cfg}, nil
}

func atLine(file string, line int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s:%d: %w", file, line, err)
}

// step reports a step's beginning and end around do.
func (b *builder) step(n int, st *Stage, name string, do func(e *Event) error) error {
	e := Event{Step: n, Total: b.total, Stage: st.Name, Name: name, State: "started"}
	b.emit(e)
	begin := time.Now()
	err := do(&e)
	e.Duration = time.Since(begin)
	if e.Err = err; err != nil {
		e.State = "failed"
	} else if e.State != "cached" {
		e.State = "done"
	}
	b.emit(e)
	return err
}

func (b *builder) emit(e Event) {
	b.events.Lock()
	defer b.events.Unlock()
	b.o.Progress(e)
}

// from is what a stage stands on.
func (b *builder) from(ctx context.Context, st *Stage) (result, error) {
	switch {
	case st.Base.Scratch:
		return result{}, nil
	case st.Base.Stage >= 0:
		return b.stage(ctx, st.Base.Stage)
	}
	img, err := b.image(ctx, st.Base.Image, st.Platform)
	if err != nil {
		return result{}, err
	}
	return result{img.Layers, img.Config}, nil
}

// image finds a base image here, or pulls it; once per build.
func (b *builder) image(ctx context.Context, ref, platform string) (image.Image, error) {
	b.images.Lock()
	defer b.images.Unlock()
	if img, ok := b.pulled[ref+" "+platform]; ok {
		return img, nil
	}
	p := b.o.Platform
	if platform != "" {
		parsed, err := v1.ParsePlatform(platform)
		if err != nil {
			return image.Image{}, fault.As(fault.Invalid, err)
		}
		p = parsed
	}
	img, err := b.o.Store.Get(ref)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return image.Image{}, err
	}
	if err != nil || b.o.Pull || !fits(img, p) {
		if img, err = b.pull(ctx, ref, p); err != nil {
			return image.Image{}, err
		}
	}
	b.lease.Hold(append([]digest.Digest{img.ID, img.Manifest}, img.Layers...)...)
	b.pulled[ref+" "+platform] = img
	return img, nil
}

func fits(img image.Image, p *image.Platform) bool {
	return p == nil || img.Config.OS == p.OS && img.Config.Architecture == p.Architecture && (p.Variant == "" || img.Config.Variant == p.Variant)
}

func (b *builder) pull(ctx context.Context, ref string, p *image.Platform) (image.Image, error) {
	if b.o.PullFunc != nil {
		return b.o.PullFunc(ctx, ref, p)
	}
	return b.o.Store.Pull(ctx, ref, nil, image.PullOptions{Platform: p})
}

// solve makes a step's layer, or finds it in the cache; "" for none.
func (b *builder) solve(ctx context.Context, s *Step, on result, e *Event) (digest.Digest, error) {
	switch {
	case s.Run != nil:
		return b.run(ctx, s.Run, on, e)
	case s.Copy != nil:
		return b.copy(ctx, s.Copy, on, e)
	case s.Workdir != "":
		return b.workdir(ctx, s.Workdir, on, e)
	}
	return "", nil
}

// cached finds key's layer or makes it with do, which fills a new upper directory; an upper left empty is no layer.
func (b *builder) cached(ctx context.Context, key string, e *Event, do func(tmp string) error) (digest.Digest, error) {
	if !b.o.NoCache {
		if l, ok := b.o.Store.CacheGet(b.lease, key); ok {
			e.State = "cached"
			return l, nil
		}
	}
	tmp, err := newUpper(b.o.Store)
	if err != nil {
		return "", err
	}
	defer removeAll(tmp)
	if err := do(tmp); err != nil {
		return "", err
	}
	var layer digest.Digest
	if empty, err := isEmpty(tmp + "/fs"); err != nil {
		return "", err
	} else if !empty {
		if layer, err = b.o.Store.TakeLayer(ctx, b.lease, tmp); err != nil {
			return "", err
		}
	}
	return layer, b.o.Store.CachePut(key, layer)
}

// chain names a root file system for cache keys.
func chain(layers []digest.Digest) string { return keyHash("chain", layers) }
