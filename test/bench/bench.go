package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is what measurements share.
type bench struct {
	quick  bool
	bin    string // of dhow
	dir    string // removed at the end
	values map[string]string
	peers  map[string]string
	idle   int64 // resident bytes of a daemon that did nothing
	main   *cluster
	made   []*cluster
}

func newBench(quick bool) (*bench, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it starts clusters, which needs root")
	}
	bin, err := filepath.Abs("bin/dhow")
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: run it by 'make bench', or in the top directory after 'make build'", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "dhow-bench-") // a disk: /tmp may be memory
	if err != nil {
		return nil, err
	}
	b := &bench{quick: quick, bin: bin, dir: dir, values: map[string]string{}, peers: map[string]string{}}
	return b, b.makeImage()
}

// makeImage builds the program that containers run, and the context of its image.
func (b *bench) makeImage() error {
	context := b.context()
	if err := os.Mkdir(context, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(context, "box"), "./test/script/box")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build box: %w: %s", err, out)
	}
	text := "FROM scratch\nCOPY box /bin/box\nENTRYPOINT [\"/bin/box\"]\nCMD [\"sleep\"]\n"
	return os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(text), 0o644)
}

func (b *bench) context() string { return filepath.Join(b.dir, "box") }

func (b *bench) close() error {
	var errs []error
	for _, c := range b.made {
		errs = append(errs, c.purge())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// times is how often something is repeated.
func (b *bench) times(n int) int {
	if b.quick {
		return max(n/10, 3)
	}
	return n
}

func (b *bench) set(what, format string, args ...any) { b.values[what] = fmt.Sprintf(format, args...) }

// measureTimes runs f again and again and gives the sorted durations.
func measureTimes(n int, f func(i int) error) ([]time.Duration, error) {
	all := make([]time.Duration, 0, n)
	for i := range n {
		begin := time.Now()
		if err := f(i); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all, nil
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func millis(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// number prints thousands apart.
func number(f float64) string {
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out), nil
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return percentile(all, 50)
}
