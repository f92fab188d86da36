package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func measureBuild(b *bench) error {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	times, err := measureTimes(b.times(30), func(int) error { return c.build("box", b.context()) })
	if err != nil {
		return err
	}
	b.set("build, everything cached, p50", "%s", millis(percentile(times, 50)))

	// What ten steps take more than none, divided by ten.
	const steps = 10
	var took [2]time.Duration
	for i, n := range []int{0, steps} {
		text := "FROM scratch\nCOPY box /bin/box\n" + strings.Repeat("RUN [\"/bin/box\", \"print\"]\n", n)
		file := filepath.Join(b.dir, fmt.Sprintf("Dockerfile.%d", n))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		times, err := measureTimes(b.times(10), func(int) error {
			return c.build(fmt.Sprintf("steps:%d", n), b.context(), "--no-cache", "-f", file)
		})
		if err != nil {
			return err
		}
		took[i] = percentile(times, 50)
	}
	b.set("build, each RUN step", "%s", millis((took[1]-took[0])/steps))
	return nil
}
