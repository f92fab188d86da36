package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cat copies files, or its input, to its output.
func cat(paths []string) error {
	if len(paths) == 0 {
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		os.Stdout.Write(raw)
	}
	return nil
}

// write writes words into a file: write FILE WORD…
func write(args []string) error {
	return os.WriteFile(args[0], []byte(strings.Join(args[1:], " ")+"\n"), 0o644)
}

// appendTo adds a line of words to a file.
func appendTo(args []string) error {
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, strings.Join(args[1:], " "))
	return errors.Join(err, f.Close())
}

// well fails when the file is there.
func well(args []string) error {
	if _, err := os.Stat(args[0]); err == nil {
		return errors.New("not well")
	}
	return nil
}

func ls(dirs []string) error {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			fmt.Println(e.Name())
		}
	}
	return nil
}

func stat(paths []string) error {
	for _, path := range paths {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %d\n", path, fi.Mode(), fi.Size())
	}
	return nil
}

// await waits until a file is there; with a second argument until it holds that text.
func await(args []string) error {
	for {
		raw, err := os.ReadFile(args[0])
		if err == nil && (len(args) == 1 || strings.Contains(string(raw), args[1])) {
			fmt.Println("found", args[0])
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// until says its words again and again until a file is there: until FILE WORD…
func until(args []string) error {
	for {
		if _, err := os.Stat(args[0]); err == nil {
			return nil
		}
		fmt.Println(strings.Join(args[1:], " "))
		time.Sleep(20 * time.Millisecond)
	}
}

// link makes a name for every command in a directory, so that each can be run by its name.
func link(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name := range commands() {
		if err := os.Symlink(self, filepath.Join(args[0], name)); err != nil {
			return err
		}
	}
	return nil
}

// greet says hello to $WHO, or writes it into a file.
func greet(args []string) error {
	text := "hello " + os.Getenv("WHO")
	if len(args) > 0 {
		return os.WriteFile(args[0], []byte(text+"\n"), 0o644)
	}
	fmt.Println(text)
	return nil
}
