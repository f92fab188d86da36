// Command dhow is the whole product: engine, cluster and command line.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // time zones of CronJobs, on hosts that have none

	"github.com/dhow-project/dhow/internal/cli"
	"github.com/dhow-project/dhow/internal/daemon"
	"github.com/dhow-project/dhow/internal/kubectl"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.Host{
		Version:     daemon.Version,
		Up:          daemon.Run,
		Down:        daemon.Down,
		Engine:      daemon.Engine,
		Credentials: daemon.Credentials,
		Login:       daemon.Login,
		Logout:      daemon.Logout,
		Kubectl:     kubectl.Run,
	}, os.Args[1:]))
}
