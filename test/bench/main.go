// Command bench prints the table of promises: what dhow wants to reach, what it reaches on this machine now, and
// what other programs that are installed reach in the same run.
//
//	go run ./test/bench [-run REGEXP] [-json FILE] [-quick]
//
// It needs root and a built bin/dhow, starts clusters of its own and removes them. rows.go is the list.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	only := flag.String("run", "", "measure only what matches this regular expression")
	file := flag.String("json", "", "write the results into this file, too")
	quick := flag.Bool("quick", false, "fewer repetitions: a rough picture in a minute")
	flag.Parse()
	if err := run(*only, *file, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only, file string, quick bool) (err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	b, err := newBench(quick)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		b.close()
		os.Exit(130)
	}()
	defer func() {
		if cerr := b.close(); err == nil {
			err = cerr
		}
	}()
	var done []*row
	for _, g := range groups() {
		wanted := g.matching(pattern)
		if len(wanted) == 0 {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s measuring %s\n", time.Now().Format(time.TimeOnly), g.name)
		if err := g.measure(b); err != nil {
			fmt.Fprintf(os.Stderr, "  %s: %v\n", g.name, err)
		}
		for _, r := range wanted {
			r.Measured, r.Peer = b.values[r.What], b.peers[r.What]
			done = append(done, r)
		}
	}
	show(done)
	if file == "" {
		return nil
	}
	raw, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

func show(rows []*row) {
	fmt.Printf("\n%s, %s\n\n", time.Now().Format(time.DateTime), machine())
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "| What\t| Now wanted\t| In the end\t| Measured\t| Peers in this run\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rows {
		measured := r.Measured
		if measured == "" {
			measured = "not measured"
		}
		fmt.Fprintf(t, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.What, r.Now, r.Goal, measured, r.Peer)
	}
	t.Flush()
}

func machine() string {
	var u syscall.Utsname
	syscall.Uname(&u)
	release := make([]byte, 0, len(u.Release))
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	model := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(cpus)
	load, _ := os.ReadFile("/proc/loadavg")
	name := "unknown processor"
	if model != nil {
		name = string(model[1])
	}
	return fmt.Sprintf("Linux %s, %d × %s, load %s", release, strings.Count(string(cpus), "processor\t"), name, strings.Fields(string(load))[0])
}
