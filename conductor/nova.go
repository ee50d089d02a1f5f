package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// Compute is the service whose servers run on the machines: OpenStack's Nova.
type Compute interface {
	// PowerUpdate tells that a server's machine was switched to store.PowerOn or store.PowerOff.
	PowerUpdate(ctx context.Context, server, power, globalRequestID string) error
}

// tellNova lets Nova know of the node's power state, as ironic does, so that it does not switch the server back. A failure is
// logged: Nova compares power states every few minutes itself, which also mends what a crash left untold.
func (t *task) tellNova(ctx context.Context) {
	n := t.Node
	if t.c.compute == nil || n.InstanceUUID == "" || n.PowerState != store.PowerOn && n.PowerState != store.PowerOff {
		return
	}
	if err := t.c.compute.PowerUpdate(ctx, n.InstanceUUID, n.PowerState, t.request.GlobalRequestID); err != nil {
		t.Log.Warn().Err(err).Str("instance", n.InstanceUUID).Msg("Nova was not told of the power state")
	}
}

// powerCorrected announces a power state that was found and not made.
func (t *task) powerCorrected(ctx context.Context, before string) {
	t.tellNova(ctx)
	t.notifyPowerCorrected(ctx, before)
}
