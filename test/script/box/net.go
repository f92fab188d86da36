package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// serve answers "WORD HOSTNAME" on an address until SIGTERM: serve :8080 [WORD].
func serve(args []string) error {
	word := "hello"
	if len(args) > 1 {
		word = args[1]
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	s := &http.Server{Addr: args[0], Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, word, name)
	})}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Println("serving", word)
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// get prints what a URL answers; it asks again until it does.
func get(args []string) error {
	client := &http.Client{Timeout: 2 * time.Second}
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var resp *http.Response
		if resp, err = client.Get(args[0]); err == nil {
			defer resp.Body.Close()
			_, err = io.Copy(os.Stdout, resp.Body)
			return err
		}
	}
	return err
}

func lookup(names []string) error {
	for _, n := range names {
		addrs, err := net.LookupHost(n)
		if err != nil {
			return err
		}
		fmt.Println(n, addrs)
	}
	return nil
}
