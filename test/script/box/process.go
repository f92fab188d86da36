package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func printOut(args []string) error { return line(os.Stdout, args) }
func printErr(args []string) error { return line(os.Stderr, args) }

func line(w io.Writer, args []string) error {
	_, err := fmt.Fprintln(w, strings.Join(args, " "))
	return err
}

func exit(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err == nil {
		os.Exit(code)
	}
	return err
}

// sleep waits for a duration, or for ever. It ends at once with SIGTERM, so that pods go quickly.
func sleep(args []string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
	var done <-chan time.Time
	if len(args) > 0 {
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		done = time.After(d)
	}
	select {
	case <-done:
	case <-ended:
		os.Exit(143)
	}
	return nil
}

// every prints numbered lines: every 100ms tick.
func every(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	for n := 1; ; n++ {
		fmt.Println(strings.Join(args[1:], " "), n)
		select {
		case <-time.After(d):
		case <-ended:
			return nil
		}
	}
}

// term says so when it is asked to end. With an argument it goes on all the same.
func term(args []string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	fmt.Println("waiting")
	for s := range ended {
		fmt.Println("got", s)
		if len(args) == 0 {
			return nil
		}
	}
	return nil
}

// lives counts in a file how often it ran, and fails the first time.
func lives(args []string) error {
	raw, _ := os.ReadFile(args[0])
	fmt.Println("life", len(raw)+1)
	if err := os.WriteFile(args[0], append(raw, '.'), 0o644); err != nil {
		return err
	}
	if len(raw) == 0 {
		os.Exit(1)
	}
	return nil
}

// kill ends itself by a signal that nobody handles.
func kill(args []string) error {
	s := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM}[args[0]]
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
}

// eat fills so many MiB of memory, and keeps them.
func eat(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var all [][]byte
	for range n {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	fmt.Println("ate", n)
	err = sleep(nil)
	runtime.KeepAlive(all)
	return err
}

func env(names []string) error {
	if len(names) == 0 {
		all := os.Environ()
		sort.Strings(all)
		return line(os.Stdout, []string{strings.Join(all, "\n")})
	}
	for _, n := range names {
		fmt.Println(os.Getenv(n))
	}
	return nil
}

// processes lists the command lines of those it sees.
func processes([]string) error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil {
			fmt.Println(strings.ReplaceAll(strings.TrimSuffix(string(raw), "\x00"), "\x00", " "))
		}
	}
	return err
}

func pwd([]string) error {
	dir, err := os.Getwd()
	fmt.Println(dir)
	return err
}

func id([]string) error {
	groups, err := os.Getgroups()
	sort.Ints(groups)
	fmt.Printf("uid=%d gid=%d groups=%v pid=%d\n", os.Getuid(), os.Getgid(), groups, os.Getpid())
	return err
}

func hostname([]string) error {
	name, err := os.Hostname()
	fmt.Println(name)
	return err
}

// limits prints what its cgroups allow, in the words of cgroup v2: memory in bytes, CPU in thousandths of a core.
func limits([]string) error {
	memory := first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
	quota, period := first("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), first("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
	if v2 := strings.Fields(first("/sys/fs/cgroup/cpu.max")); len(v2) == 2 {
		quota, period = v2[0], v2[1]
	}
	q, _ := strconv.Atoi(quota)
	p, _ := strconv.Atoi(period)
	fmt.Printf("memory=%s cpu=%d\n", memory, q*1000/max(p, 1))
	return nil
}

func first(paths ...string) string {
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(raw))
		}
	}
	return ""
}
