// Command host compares what a machine looked like before and after the tests, or before and after a cluster:
//
//	host save FILE       write down what dhow could leave behind
//	host compare FILE    fail when something is not as it was written down
//
// Read snapshot.go for what it looks at, leak_test.go for what is promised.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "save" && args[0] != "compare" {
		return fmt.Errorf("usage: host save|compare FILE")
	}
	now, err := look()
	if err != nil {
		return err
	}
	if args[0] == "save" {
		return os.WriteFile(args[1], []byte(strings.Join(now, "\n")+"\n"), 0o600)
	}
	raw, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	d := now.since(strings.Split(strings.TrimSpace(string(raw)), "\n"))
	if shared() {
		d = slices.DeleteFunc(d, func(line string) bool { return !ours.MatchString(line) })
	}
	if len(d) > 0 {
		return fmt.Errorf("the host is not as it was:\n%s", strings.Join(d, "\n"))
	}
	fmt.Printf("ok: %d processes, mounts, links, routes, tables, cgroups, settings and files, all as before\n", len(now))
	return nil
}

// shared is set where others test on the same machine at the same time: then only what carries a name of ours counts.
func shared() bool { return os.Getenv("DHOW_SHARED_HOST") != "" }
