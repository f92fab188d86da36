package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/config"
)

func (a *app) down() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and its containers",
		Long:  "Stop the cluster and its containers. The data stays for the next 'dhow up'; with --purge it is removed too,\nand the host is as it was before the first start.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return needRoot(cmd)
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			did := false
			if err := a.host.Down(cmd.Context(), c, purge, func(s config.Step) { did = true; a.showStep(s) }); err != nil {
				return err
			}
			switch {
			case purge:
				fmt.Fprintf(a.out, "Cluster %s is gone, and so is %s.\n", c.Name, c.DataDir)
			case did:
				fmt.Fprintf(a.out, "Cluster %s is stopped. Its data is in %s.\n", c.Name, c.DataDir)
			default:
				fmt.Fprintf(a.out, "Cluster %s was not running.\n", c.Name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove all data as well")
	return cmd
}
