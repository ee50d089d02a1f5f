package conductor

import (
	"context"
	"maps"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// serveInstances serves again, after a start, what running instances boot from that have no disk in their machine: it is read whenever
// they are switched on.
func (c *Conductor) serveInstances(ctx context.Context) {
	own := map[string]*store.Node{}
	for _, f := range []sql.Filter{{DeployInterface: "ramdisk"}, {InfoHas: drivers.KeyBootVolume}} {
		f.ProvisionStates, f.Columns = []string{store.Active}, []string{"uuid", "provision_state", "conductor_affinity"}
		nodes, err := c.db.Nodes(ctx, f)
		if err != nil {
			c.log.Error().Err(err).Msg("Listing instances that boot from this worker failed")
			return
		}
		for _, n := range nodes {
			if equalPtr(n.ConductorAffinity, &c.conductorID) {
				own[n.UUID] = n
			}
		}
	}
	c.eachToResume(ctx, slices.Collect(maps.Values(own)), func(ctx context.Context, n *store.Node) error {
		return c.readNode(ctx, oslo.AdminContext(), n.UUID, "serving again", func(ctx context.Context, t *task) error {
			return t.Hardware.Deploy.TakeOver(ctx, t.Task)
		})
	})
}
