package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// measurePackages runs benchmarks of packages: what they measure needs a thousand nodes or ten thousand Services.
func measurePackages(b *bench) error {
	perOp, err := benchmark("./internal/scheduler", "BenchmarkDecide1000Nodes")
	if err != nil {
		return err
	}
	b.set("scheduler decisions, 1,000 nodes", "%s /s", number(float64(time.Second)/float64(perOp)))
	perOp, err = benchmark("./internal/service/proxy", "BenchmarkOneServiceChangedOf10k")
	if err != nil {
		return err
	}
	b.set("one Service changed of 10,000", "%s", millis(perOp))
	return nil
}

var result = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([0-9.]+) ns/op`)

func benchmark(pkg, name string) (time.Duration, error) {
	out, err := output(exec.Command("go", "test", "-run", "^$", "-bench", "^"+name+"$", pkg))
	if err != nil {
		return 0, err
	}
	m := result.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s has no %s", pkg, name)
	}
	ns, err := strconv.ParseFloat(m[1], 64)
	return time.Duration(ns), err
}
