package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dhow-project/dhow/internal/x/fault"
)

func (a *app) login() *cobra.Command {
	var user, password string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "login [REGISTRY]",
		Short: "Keep a registry's user name and password, where docker keeps them",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server := strings.Join(args, "")
			if stdin {
				raw, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<16))
				if err != nil {
					return err
				}
				password = string(bytes.TrimRight(raw, "\r\n"))
			}
			if err := a.ask(&user, &password); err != nil {
				return err
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			if err := a.host.Login(cmd.Context(), c, server, user, password); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "Login Succeeded")
			return nil
		},
	}
	cmd.Flags().StringVarP(&user, "username", "u", "", "user name")
	cmd.Flags().StringVarP(&password, "password", "p", "", "password; better use --password-stdin")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (a *app) ask(user, password *string) error {
	if *user != "" && *password != "" {
		return nil
	}
	if !isTerminal(os.Stdin) {
		return fault.New(fault.Invalid, "login needs a user name and a password: use -u NAME --password-stdin")
	}
	if *user == "" {
		fmt.Fprint(a.err, "Username: ")
		if _, err := fmt.Fscanln(os.Stdin, user); err != nil {
			return err
		}
	}
	if *password == "" {
		typed, err := a.askPassword()
		*password = typed
		return err
	}
	return nil
}

// askPassword shows the prompt only when nothing that is typed is shown any more.
func (a *app) askPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, state)
	typed, err := term.NewTerminal(terminal{os.Stdin, a.err}, "").ReadPassword("Password: ")
	if errors.Is(err, io.EOF) { // Ctrl-C, Ctrl-D
		return "", context.Canceled
	}
	return typed, err
}

type terminal struct {
	io.Reader
	io.Writer
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [REGISTRY]",
		Short: "Forget a registry's user name and password",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server := strings.Join(args, "")
			if server == "" {
				server = "docker.io"
			}
			err := a.host.Logout(server)
			if fault.Is(err, fault.NotFound) { // what was asked for is so
				fmt.Fprintln(a.out, "Not logged in to", server)
				return nil
			}
			if err == nil {
				fmt.Fprintln(a.out, "Removed the login credentials for", server)
			}
			return err
		},
	}
}
