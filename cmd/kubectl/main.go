// Command kubectl is the real kubectl. It is a program of its own inside dhow, so that the daemon
// does not pay for its 70 MB at every start (docs/decisions/kubectl.md).
package main

import (
	"fmt"
	"os"

	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	if err := cmd.NewDefaultKubectlCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
