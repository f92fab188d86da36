package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/engine/socket"
)

// completeImages offers the names of this node's images for the first so many arguments, 0 for all. It asks a daemon that runs:
// opening an engine would be more than a shell's user expects of the tab key.
func (a *app) completeImages(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		none := cobra.ShellCompDirectiveNoFileComp
		if most > 0 && len(args) >= most {
			if cmd.Name() == "run" { // what is run may well be named after a file
				none = cobra.ShellCompDirectiveDefault
			}
			return nil, none
		}
		c, err := a.config()
		if err != nil || os.Geteuid() != 0 {
			return nil, none
		}
		e := socket.New(c.Places().Socket())
		defer e.Close()
		images, err := e.ListImages(cmd.Context())
		if err != nil {
			return nil, none
		}
		var names []cobra.Completion
		for _, r := range imageRows(images, "") {
			if r[0] != "<none>" {
				names = append(names, r[0]+":"+r[1])
			}
		}
		return names, none
	}
}

func completeFlag(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}
