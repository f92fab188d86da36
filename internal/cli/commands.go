package cli

import "github.com/spf13/cobra"

type group struct {
	title    string
	commands []func(*app) *cobra.Command
}

// commands are all commands, as help shows them.
func commands() []group {
	return []group{
		{"Cluster:", []func(*app) *cobra.Command{
			(*app).up,
			(*app).down,
			(*app).status,
			(*app).kubectlHelp,
		}},
		{"Images:", []func(*app) *cobra.Command{
			(*app).build,
			(*app).pull,
			(*app).push,
			(*app).images,
			(*app).tag,
			(*app).rmi,
			(*app).save,
			(*app).load,
			(*app).inspect,
			(*app).login,
			(*app).logout,
		}},
		{"Containers:", []func(*app) *cobra.Command{
			(*app).run,
			(*app).ps,
			(*app).stop,
			(*app).rm,
		}},
	}
}
