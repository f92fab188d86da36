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
	if d := now.since(strings.Split(strings.TrimSpace(string(raw)), "\n")); len(d) > 0 {
		return fmt.Errorf("the host is not as it was:\n%s", strings.Join(d, "\n"))
	}
	fmt.Printf("ok: %d processes, mounts, links, routes, tables, cgroups, settings and files, all as before\n", len(now))
	return nil
}
