// Command dhow-keeper is the parent of every container of one engine directory. dhow starts it.
package main

import (
	"fmt"
	"os"

	"github.com/dhow-project/dhow/internal/oci/keeper/server"
)

func main() {
	if err := server.Main(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "dhow-keeper:", err)
		os.Exit(1)
	}
}
