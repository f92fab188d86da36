// Command web is the example's app: it says hello, and knows how to ask another web for it.
//
//	web serve             serve on :8080
//	web get URL           print what a server answers; retries until it does
//	web load URL SECONDS  ask again and again, count what fails
//	web page DIR          write the page that serve shows, for $VERSION
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "serve")
	}
	commands := map[string]func([]string) error{"serve": serve, "get": get, "load": load, "page": page}
	run := commands[os.Args[1]]
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: web serve | get URL | load URL SECONDS | page DIR")
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func page(args []string) error {
	return os.WriteFile(filepath.Join(args[0], "page"), []byte("web "+os.Getenv("VERSION")), 0o644)
}

// serve answers until SIGTERM, then finishes what it has begun.
func serve([]string) error {
	version, err := os.ReadFile("/srv/page")
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		greeting, err := os.ReadFile("/etc/web/greeting") // a mounted ConfigMap: changes show up by themselves
		if err != nil {
			greeting = []byte("Hello")
		}
		fmt.Fprintf(w, "%s from %s on %s (secret of %d letters)\n", strings.TrimSpace(string(greeting)), version, host, len(os.Getenv("PASSWORD")))
	})
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	fmt.Printf("%s serves on %s\n", version, server.Addr)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		fmt.Println("finishing")
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return server.Shutdown(last)
	}
}

func get(args []string) error {
	client := &http.Client{Timeout: 5 * time.Second}
	var err error
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(200 * time.Millisecond) {
		var body string
		if body, err = ask(client, args[0]); err == nil {
			fmt.Print(body)
			return nil
		}
	}
	return err
}

func ask(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}

// load uses a new connection for every request, so that each one is balanced anew. It ends early at end of input.
func load(args []string) error {
	seconds, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := ask(client, args[0]); err != nil {
					failed.Add(1)
					fmt.Fprintln(os.Stderr, err)
				} else {
					ok.Add(1)
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d requests answered, %d failed\n", ok.Load(), failed.Load())
	if failed.Load() > 0 {
		return fmt.Errorf("%d requests failed", failed.Load())
	}
	return nil
}
