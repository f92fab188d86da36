package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	tty "golang.org/x/term"
)

// talk says what terminal it has, whenever that changes, and answers lines: size, exit CODE, anything else.
// Ctrl-C interrupts it, the end of its input ends it.
func talk([]string) error {
	changed, interrupted := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	signal.Notify(interrupted, os.Interrupt)
	lines := make(chan string)
	go func() {
		for scan := bufio.NewScanner(os.Stdin); scan.Scan(); {
			lines <- scan.Text()
		}
		close(lines)
	}()
	fmt.Println("listening", screen())
	for {
		select {
		case <-changed:
			fmt.Println("now", screen())
		case <-interrupted:
			fmt.Println("interrupted")
		case l, ok := <-lines:
			if !ok {
				fmt.Println("bye")
				return nil
			}
			if code, ok := strings.CutPrefix(l, "exit "); ok {
				return exit([]string{code})
			}
			fmt.Println("heard", l)
		}
	}
}

func screen() string {
	columns, rows, err := tty.GetSize(0)
	if err != nil {
		return "no terminal"
	}
	return fmt.Sprintf("%dx%d", columns, rows)
}
