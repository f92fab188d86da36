package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/opencontainers/go-digest"
)

// run carries out a RUN: its layer is what the command left in the upper directory.
func (b *builder) run(ctx context.Context, r *Run, on result, e *Event) (digest.Digest, error) {
	if b.o.Runner == nil {
		return "", fault.New(fault.Unsupported, "RUN needs an engine, and this build has none")
	}
	mounts, err := b.mountKeys(ctx, r)
	if err != nil {
		return "", err
	}
	key := keyHash("run", chain(on.layers), strings.Join(r.Args, "\x00"), strings.Join(r.Env, "\x00"), r.Dir, r.User, r.Network, mounts)
	return b.cached(ctx, key, e, func(tmp string) error { return b.exec(ctx, tmp, r, on, *e) })
}

func (b *builder) exec(ctx context.Context, tmp string, r *Run, on result, e Event) error {
	lower, err := b.o.Store.DirsOf(on.layers)
	if err != nil {
		return err
	}
	m := &mounter{b: b, tmp: tmp, run: r}
	defer m.release()
	mounts, env, err := m.prepare(ctx)
	if err != nil {
		return err
	}
	stubs, err := findStubs(lower, mounts)
	if err != nil {
		return err
	}
	out, errs := b.logWriter(e, false), b.logWriter(e, true)
	code, err := b.o.Runner.Run(ctx, RunSpec{
		Lower: lower, Upper: filepath.Join(tmp, "fs"), Work: filepath.Join(tmp, "work"), Args: r.Args,
		Env: slices.Concat(r.Env, r.hidden, env), Dir: r.Dir, User: r.User, Network: r.Network, Mounts: mounts, Hosts: b.o.Hosts,
		Stdout: out, Stderr: errs,
	})
	if err != nil {
		return fmt.Errorf("run %q: %w", strings.Join(r.Args, " "), err)
	}
	if code != 0 {
		return fault.New(fault.Invalid, "process %q did not complete successfully: exit code: %d", strings.Join(r.Args, " "), code)
	}
	return removeStubs(filepath.Join(tmp, "fs"), stubs)
}

// logWriter sends a command's output as events.
func (b *builder) logWriter(e Event, stderr bool) io.Writer {
	e.State, e.Stderr = "log", stderr
	return writerFunc(func(p []byte) {
		e := e
		e.Log = slices.Clone(p)
		b.emit(e)
	})
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// findStubs lists the mount points that the root file system does not have, deepest first, each with the
// directories above it that it does not have either.
func findStubs(lower []string, mounts []Mount) ([]string, error) {
	root, err := union.Open(lower...)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	targets := []string{"proc", "sys", "dev", "etc/resolv.conf", "etc/hosts", "etc/hostname"}
	for _, m := range mounts {
		targets = append(targets, fsat.Clean(m.Target))
	}
	var stubs []string
	for _, t := range targets {
		e, err := root.Resolve(t, true)
		for p := e.Path; errors.Is(err, os.ErrNotExist) && p != ""; p = parent(p) {
			if !slices.Contains(stubs, p) {
				stubs = append(stubs, p)
			}
			_, err = root.Lstat(parent(p))
		}
	}
	slices.SortFunc(stubs, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return stubs, nil
}

// removeStubs takes the mount points that the runner made out of the layer, when they are still empty. Nothing is
// followed on the way: the command may have put symlinks there.
func removeStubs(upper string, stubs []string) error {
	root, err := fsat.Open(upper)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, p := range stubs {
		f, err := root.OpenExact(path.Join(".", parent(p)))
		if err != nil {
			continue
		}
		f.Close()
		d, err := root.OpenDir(parent(p))
		if err != nil {
			continue
		}
		st, err := d.Lstat(path.Base(p))
		switch {
		case err != nil:
		case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
			_ = d.Rmdir(path.Base(p)) // not empty: the command's own
		case st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Size == 0:
			_ = d.Unlink(path.Base(p))
		}
		d.Close()
	}
	return nil
}

// mounter prepares the mounts of one RUN.
type mounter struct {
	b       *builder
	tmp     string
	run     *Run
	unlocks []func()
}

func (m *mounter) release() {
	for _, u := range m.unlocks {
		u()
	}
}

func (m *mounter) prepare(ctx context.Context) (mounts []Mount, env []string, err error) {
	for i, rm := range m.run.Mounts {
		switch {
		case rm.Data != "":
			out, err := m.file(i, rm.Target, []byte(rm.Data), 0o755)
			if err != nil {
				return nil, nil, err
			}
			mounts = append(mounts, out)
			continue
		case rm.Type == instructions.MountTypeSecret:
			out, vars, err := m.secret(i, rm)
			if err != nil {
				return nil, nil, err
			}
			mounts, env = append(mounts, out...), append(env, vars...)
			continue
		}
		if rm.Target == "" {
			return nil, nil, fault.New(fault.Invalid, "RUN --mount=type=%s needs a target", rm.Type)
		}
		var out Mount
		switch rm.Type {
		case instructions.MountTypeTmpfs:
			out = Mount{Type: "tmpfs", Size: rm.SizeLimit}
		case instructions.MountTypeCache:
			out, err = m.cache(rm)
		case instructions.MountTypeBind:
			out, err = m.bind(ctx, i, rm)
		default:
			err = fault.New(fault.Unsupported, "RUN --mount=type=%s is not supported", rm.Type)
		}
		if err != nil {
			return nil, nil, err
		}
		out.Target = rm.Target
		mounts = append(mounts, out)
	}
	return mounts, env, nil
}

func (m *mounter) file(i int, target string, data []byte, mode os.FileMode) (Mount, error) {
	p := filepath.Join(m.tmp, fmt.Sprint("file-", i))
	if err := os.WriteFile(p, data, mode); err != nil {
		return Mount{}, err
	}
	return Mount{Type: "bind", Source: p, Target: target, ReadOnly: true}, os.Chmod(p, mode)
}

// secret gives a file, a variable, or both as asked.
func (m *mounter) secret(i int, rm RunMount) ([]Mount, []string, error) {
	id := rm.CacheID
	if id == "" {
		id = path.Base(rm.Target)
	}
	data, ok := m.b.o.Secrets[id]
	if !ok && rm.Required {
		return nil, nil, fault.New(fault.Invalid, "secret %s is required: give it with --secret id=%s,src=FILE", id, id)
	}
	if !ok {
		return nil, nil, nil
	}
	var env []string
	if rm.Env != nil {
		name := *rm.Env
		if name == "" {
			name = id
		}
		env = []string{name + "=" + string(data)}
		if rm.Target == "" {
			return nil, env, nil
		}
	}
	target := rm.Target
	if target == "" {
		target = "/run/secrets/" + id
	}
	mode := os.FileMode(0o400)
	if rm.Mode != nil {
		mode = os.FileMode(*rm.Mode & 0o777)
	}
	out, err := m.file(i, target, data, mode)
	if err != nil {
		return nil, nil, err
	}
	return []Mount{out}, env, chownTo(out.Source, rm.Mount)
}

func chownTo(p string, m *instructions.Mount) error {
	uid, gid := 0, 0
	if m.UID != nil {
		uid = int(*m.UID)
	}
	if m.GID != nil {
		gid = int(*m.GID)
	}
	return os.Chown(p, uid, gid)
}

// cache gives a directory that outlives the build. Locked ones are used by one command at a time.
func (m *mounter) cache(rm RunMount) (Mount, error) {
	if rm.Src.Stage >= 0 || rm.Src.Image != "" {
		return Mount{}, fault.New(fault.Unsupported, "RUN --mount=type=cache with from= is not supported: copy what it should begin with")
	}
	id := rm.CacheID
	if id == "" {
		id = rm.Target
	}
	dir := m.b.o.Store.CacheMountDir(id)
	switch rm.CacheSharing {
	case instructions.MountSharingLocked:
		m.unlocks = append(m.unlocks, m.b.o.Store.LockCacheMount(id))
	case instructions.MountSharingPrivate:
		unlock, ok := m.b.o.Store.TryLockCacheMount(id)
		if ok {
			m.unlocks = append(m.unlocks, unlock)
		} else {
			dir = filepath.Join(m.tmp, "cache-"+filepath.Base(dir))
		}
	}
	_, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		mode := os.FileMode(0o755)
		if rm.Mode != nil {
			mode = os.FileMode(*rm.Mode & 0o777)
		}
		err = errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, mode), chownTo(dir, rm.Mount))
	}
	return Mount{Type: "bind", Source: dir, SubPath: fsat.Clean(rm.Source), ReadOnly: rm.ReadOnly}, err
}

// bind shows a stage, an image or the context. With an ignore file the context is copied first without what it names.
func (m *mounter) bind(ctx context.Context, i int, rm RunMount) (Mount, error) {
	sub := fsat.Clean(rm.Source)
	if !rm.Src.context() {
		lower, err := m.b.lower(ctx, rm.Src)
		return Mount{Type: "overlay", Lower: lower, SubPath: sub, ReadOnly: true}, err
	}
	if m.b.ctx.dir == "" {
		return Mount{}, fault.New(fault.Invalid, "RUN --mount=type=bind: there is no context")
	}
	if m.b.ctx.ignore == nil {
		return Mount{Type: "bind", Source: m.b.ctx.dir, SubPath: sub, ReadOnly: true}, nil
	}
	dir := filepath.Join(m.tmp, fmt.Sprint("context-", i))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return Mount{}, err
	}
	return Mount{Type: "bind", Source: dir, SubPath: sub, ReadOnly: true}, m.b.copyContext(dir)
}

// copyContext copies what .dockerignore leaves of the context.
func (b *builder) copyContext(dir string) (err error) {
	t, err := b.ctx.tree()
	if err != nil {
		return err
	}
	defer t.fs.Close()
	picks, err := t.pick("/", nil)
	if err != nil {
		return err
	}
	w, err := newCopier(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return errors.Join(w.put(t, &picks[0], ""), w.finish())
}

// mountKeys says what of a RUN's mounts its result depends on: where they are and what is bound; not what is in
// caches or secrets.
func (b *builder) mountKeys(ctx context.Context, r *Run) (string, error) {
	var parts []string
	for _, rm := range r.Mounts {
		k := fmt.Sprintf("%s %q %q %q %v", rm.Type, rm.Target, rm.Source, rm.CacheID, rm.ReadOnly)
		switch {
		case rm.Data != "":
			k += digest.FromString(rm.Data).String()
		case rm.Type == instructions.MountTypeBind:
			sum, err := b.bindSum(ctx, rm)
			if err != nil {
				return "", err
			}
			k += sum
		}
		parts = append(parts, k)
	}
	return strings.Join(parts, "\x00"), nil
}

func (b *builder) bindSum(ctx context.Context, rm RunMount) (string, error) {
	t, err := b.tree(ctx, rm.Src)
	if err != nil {
		return "", err
	}
	defer t.fs.Close()
	picks, err := t.pick("/"+rm.Source, nil)
	if err != nil {
		return "", err
	}
	h := digest.Canonical.Digester()
	for i := range picks {
		if err := t.hash(h.Hash(), &picks[i], b.o.Store.FileHashes()); err != nil {
			return "", err
		}
	}
	return h.Digest().String(), nil
}
