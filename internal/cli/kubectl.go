package cli

import (
	"os"

	"github.com/spf13/cobra"
)

// kubectl runs the real kubectl against this cluster, unless the user points it elsewhere. The cluster's own
// flags are understood in front: dhow kubectl --name test get pods is kubectl's business, dhow --name test kubectl ours.
func (a *app) kubectl(args []string) int {
	if os.Getenv("KUBECONFIG") == "" && !pointsElsewhere(args) {
		if c, err := a.config(); err == nil {
			if path := c.Places().Kubeconfig(); readable(path) {
				os.Setenv("KUBECONFIG", path)        // a flag would be in the way of plugins and of completion
				if os.Getenv("KUBECACHEDIR") == "" { // what it learns of the cluster goes with the cluster
					os.Setenv("KUBECACHEDIR", c.Places().KubectlCache())
				}
			}
		}
	}
	return a.host.Kubectl(args)
}

func pointsElsewhere(args []string) bool {
	for _, arg := range args {
		switch {
		case arg == "--":
			return false
		case hasFlag(arg, "--kubeconfig"), hasFlag(arg, "--context"), hasFlag(arg, "--server"), arg == "-s":
			return true
		}
	}
	return false
}

func hasFlag(arg, flag string) bool {
	return arg == flag || len(arg) > len(flag) && arg[:len(flag)+1] == flag+"="
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// kubectlHelp makes the command show up in help and completion; Main runs it before cobra sees its flags.
func (a *app) kubectlHelp() *cobra.Command {
	return &cobra.Command{
		Use: "kubectl", Short: "kubectl, for this cluster", DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return a.code(a.kubectl(args)) },
	}
}

func (a *app) code(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}
