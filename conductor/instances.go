package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// serveInstances serves again, after a start, what running instances boot from that have no disk: their machines read it whenever
// they are switched on.
func (c *Conductor) serveInstances(ctx context.Context) {
	nodes, err := c.db.Nodes(ctx, sql.Filter{DeployInterface: "ramdisk", ProvisionStates: []string{store.Active},
		Columns: []string{"uuid", "provision_state", "conductor_affinity"}})
	if err != nil {
		c.log.Error().Err(err).Msg("Listing instances that boot from this worker failed")
		return
	}
	var own []*store.Node
	for _, n := range nodes {
		if equalPtr(n.ConductorAffinity, &c.conductorID) {
			own = append(own, n)
		}
	}
	c.eachToResume(ctx, own, func(ctx context.Context, n *store.Node) error {
		return c.readNode(ctx, oslo.AdminContext(), n.UUID, "serving again", func(ctx context.Context, t *task) error {
			return t.Hardware.Deploy.TakeOver(ctx, t.Task)
		})
	})
}
