package logs

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Rotation bounds, as upstream's defaults.
const (
	MaxSize  = 10 << 20 // bytes of one file
	MaxFiles = 5        // of one container, the current one included
)

// Rotate moves a log that grew beyond limit aside and has the engine open a new one; older ones are compressed,
// the oldest removed. It does nothing to a small log.
func Rotate(path string, limit int64, now time.Time, reopen func() error) error {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() < limit {
		return nil
	}
	aside := path + "." + now.UTC().Format("20060102-150405.000")
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	if err := reopen(); err != nil {
		if back := os.Rename(aside, path); back != nil { // else the container would log into a file nobody finds
			return fmt.Errorf("rotate log: %w, and not put back: %w", err, back)
		}
		return fmt.Errorf("rotate log: %w", err)
	}
	return tidy(path, aside)
}

// tidy compresses all rotated files but the newest, which a reader may still follow, and removes the oldest.
func tidy(path, newest string) error {
	old, err := filepath.Glob(path + ".*")
	if err != nil {
		return err
	}
	sort.Sort(sort.Reverse(sort.StringSlice(old)))
	kept := 1
	for _, f := range old {
		switch {
		case strings.HasSuffix(f, ".tmp") || kept >= MaxFiles:
			err = os.Remove(f)
		case f == newest || strings.HasSuffix(f, ".gz"):
			kept++
		default:
			kept++
			err = compress(f)
		}
		if err != nil {
			return fmt.Errorf("tidy rotated logs: %w", err)
		}
	}
	return nil
}

func compress(path string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := path + ".tmp"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if e := z.Close(); err == nil {
		err = e
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path+".gz"); err != nil {
		return err
	}
	return os.Remove(path)
}
