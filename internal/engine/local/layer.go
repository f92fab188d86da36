package local

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// layerUsage is what a container's writable layer holds, counted when somebody asks.
type layerUsage struct {
	mu    sync.Mutex
	until time.Time // the count is good enough
	usage engine.Usage
}

const (
	// freshLayer is how long a count is given again, at least.
	freshLayer = 10 * time.Second
	// layerShare bounds what counting a big layer may take of the time: one part in so many.
	layerShare = 50
)

func (e *Engine) writableLayer(c *container) engine.Usage {
	l := &c.layer
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := time.Now()
	if begin.Before(l.until) {
		return l.usage
	}
	if u, err := diskUsage(filepath.Join(e.containerDir(c.record.ID), upperDir)); err == nil {
		l.usage = u
	} else {
		e.log.Debug("writable layer not counted", "container", c.record.ID, "error", err)
	}
	end := time.Now()
	l.until = end.Add(max(freshLayer, layerShare*end.Sub(begin)))
	return l.usage
}

// diskUsage counts what du(1) does: blocks, and a file with several names once. What goes away meanwhile is left out. The
// directory belongs to a program that may change it at any time: nothing outside of it is looked at.
func diskUsage(dir string) (u engine.Usage, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return u, err
	}
	defer root.Close()
	seen := map[uint64]bool{}
	err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := root.Lstat(name)
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Nlink > 1 && !info.IsDir() && seen[st.Ino] {
			return nil
		}
		if st.Nlink > 1 && !info.IsDir() {
			seen[st.Ino] = true
		}
		u.Bytes += uint64(st.Blocks) * 512
		u.Inodes++
		return nil
	})
	return u, err
}
