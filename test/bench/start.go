package main

import (
	"os"
	"time"
)

func measureStart(b *bench) error {
	times, err := measureTimes(b.times(20), func(int) error {
		c := b.newCluster()
		return c.up()
	})
	if err != nil {
		return err
	}
	b.set("up on an empty directory → Ready, p50", "%s", millis(percentile(times, 50)))
	for _, c := range b.made {
		if err := c.purge(); err != nil {
			return err
		}
	}
	b.made = nil
	return nil
}

func measureSize(b *bench) error {
	fi, err := os.Stat(b.bin)
	if err == nil {
		b.set("binary", "%s", megabytes(fi.Size()))
	}
	return err
}

// measureIdle looks at a daemon that has started and has nothing to do. A durable write is a new revision: the
// store makes one transaction, with one fdatasync, of all that wait, so there are never more of these.
func measureIdle(b *bench) error {
	c := b.newCluster()
	if err := c.up(); err != nil {
		return err
	}
	defer c.purge()
	time.Sleep(5 * time.Second) // what a start leaves to be done afterwards
	window := 30 * time.Second
	if b.quick {
		window = 11 * time.Second
	}
	before, err := c.cpu()
	if err != nil {
		return err
	}
	first, err := c.api.revision()
	if err != nil {
		return err
	}
	time.Sleep(window)
	last, err := c.api.revision()
	if err != nil {
		return err
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	resident, anonymous, err := c.memory()
	if err != nil {
		return err
	}
	b.idle = resident
	b.set("idle memory, resident", "%s", megabytes(resident))
	b.set("idle memory, anonymous", "%s", megabytes(anonymous))
	b.set("idle CPU of one core", "%.2f %%", 100*float64(after-before)/float64(window))
	b.set("idle durable writes", "%.2f /s", float64(last-first)/window.Seconds())
	return nil
}
