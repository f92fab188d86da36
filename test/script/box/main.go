// Command box is what runs in the containers of the tests: one static program of many commands, so that
// no base image and no shell is needed. It goes by its first argument, or by the name it is called by.
//
//	box do 'print one' 'warn two' 'exit 3'    runs commands one after the other
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// commands are all it can do. One that cannot go on returns an error, which ends box with code 1.
func commands() map[string]func(args []string) error {
	return map[string]func([]string) error{
		// process.go
		"print": printOut, "warn": printErr, "exit": exit, "sleep": sleep, "every": every, "term": term, "kill": kill, "eat": eat,
		"env": env, "pwd": pwd, "id": id, "hostname": hostname, "limits": limits, "do": do, "lives": lives, "processes": processes,
		// files.go
		"cat": cat, "write": write, "append": appendTo, "well": well, "ls": ls, "stat": stat, "await": await, "until": until, "link": link, "greet": greet,
		"tar": tarCommand,
		// terminal.go
		"talk": talk,
		// net.go
		"serve": serve, "get": get, "lookup": lookup,
	}
}

func main() {
	args := os.Args
	args[0] = filepath.Base(args[0])
	if args[0] == "box" {
		args = args[1:]
	}
	if err := dispatch(args); err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 0 {
		return sleep(nil)
	}
	command := commands()[args[0]]
	if command == nil {
		return fmt.Errorf("no command %q", args[0])
	}
	return command(args[1:])
}

func do(lines []string) error {
	for _, l := range lines {
		if err := dispatch(strings.Fields(l)); err != nil {
			return err
		}
	}
	return nil
}
