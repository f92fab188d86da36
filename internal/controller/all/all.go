// Package all lists every controller.
package all

import (
	"context"

	"github.com/dhow-project/dhow/internal/controller"
	"github.com/dhow-project/dhow/internal/controller/aggregation"
	"github.com/dhow-project/dhow/internal/controller/cronjob"
	"github.com/dhow-project/dhow/internal/controller/csr"
	"github.com/dhow-project/dhow/internal/controller/daemonset"
	"github.com/dhow-project/dhow/internal/controller/deployment"
	"github.com/dhow-project/dhow/internal/controller/disruption"
	"github.com/dhow-project/dhow/internal/controller/endpoints"
	"github.com/dhow-project/dhow/internal/controller/ephemeral"
	"github.com/dhow-project/dhow/internal/controller/garbage"
	"github.com/dhow-project/dhow/internal/controller/job"
	"github.com/dhow-project/dhow/internal/controller/localpath"
	"github.com/dhow-project/dhow/internal/controller/namespace"
	"github.com/dhow-project/dhow/internal/controller/nodeipam"
	"github.com/dhow-project/dhow/internal/controller/nodelife"
	"github.com/dhow-project/dhow/internal/controller/podgc"
	"github.com/dhow-project/dhow/internal/controller/protection"
	"github.com/dhow-project/dhow/internal/controller/replicaset"
	"github.com/dhow-project/dhow/internal/controller/resourcequota"
	"github.com/dhow-project/dhow/internal/controller/rootca"
	"github.com/dhow-project/dhow/internal/controller/serviceaccount"
	"github.com/dhow-project/dhow/internal/controller/statefulset"
	"github.com/dhow-project/dhow/internal/controller/ttl"
	"github.com/dhow-project/dhow/internal/controller/typecheck"
	"github.com/dhow-project/dhow/internal/controller/volume"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Controllers builds them all. Call before d.Caches runs.
func Controllers(d controller.Deps) []controller.Part {
	return []controller.Part{
		serviceaccount.New(d),
		serviceaccount.NewTokens(d),
		rootca.New(d),
		nodeipam.New(d),
		replicaset.New(d),
		replicaset.NewForReplicationControllers(d),
		deployment.New(d),
		daemonset.New(d),
		statefulset.New(d),
		endpoints.New(d),
		job.New(d),
		cronjob.New(d),
		nodelife.New(d),
		namespace.New(d),
		garbage.New(d),
		resourcequota.New(d),
		podgc.New(d),
		ttl.New(d),
		aggregation.New(d),
		disruption.New(d),
		csr.NewApprover(d),
		csr.New(d),
		protection.NewClaims(d),
		protection.NewVolumes(d),
		protection.NewClasses(d),
		ephemeral.New(d),
		volume.New(d),
		localpath.New(d),
		typecheck.New(d),
	}
}

// Run runs parts until ctx ends or one fails.
func Run(ctx context.Context, parts []controller.Part) error {
	g := run.New(ctx)
	for _, p := range parts {
		g.Go("controller", p.Run)
	}
	return g.Wait()
}
