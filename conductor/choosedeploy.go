package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
)

// keyOriginalDeploy is where driver_internal_info holds the deploy interface that gave way to another one.
const keyOriginalDeploy = "original_deploy_interface"

// chooseDeploy has a deploy interface that chooses another one give way to it, until the node has been cleaned.
func (t *task) chooseDeploy(ctx context.Context) error {
	chooser, ok := t.Hardware.Deploy.(drivers.Chooser)
	if !ok {
		return nil
	}
	name := chooser.Choose(ctx, t.Task)
	t.Log.Info().Str("from", t.Node.DeployInterface).Str("to", name).Msg("The deploy interface gives way to another one")
	t.Node.DriverInternalInfo[keyOriginalDeploy] = t.Node.DeployInterface
	t.Node.DeployInterface = name
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.loadHardware()
}

// chooseForRamdisk is chooseDeploy for a cleaning, a servicing and a tear-down, in which deploy interfaces give way since 39.0.
func (t *task) chooseForRamdisk(ctx context.Context) error {
	if t.c.cfg.Release < messaging.Newest {
		return nil
	}
	return t.chooseDeploy(ctx)
}

// restoreAfterRamdisk is restoreDeploy at the end of a flow that chooses since 39.0.
func (t *task) restoreAfterRamdisk() {
	if t.c.cfg.Release >= messaging.Newest {
		t.restoreDeploy()
	}
}

// restoreDeploy brings the node's own deploy interface back, which the next save writes. It reports whether another one was in its
// place.
func (t *task) restoreDeploy() bool {
	own := t.Node.DriverInternalInfo.String(keyOriginalDeploy)
	if own == "" {
		return false
	}
	t.Log.Info().Str("from", t.Node.DeployInterface).Str("to", own).Msg("The node's own deploy interface is back")
	t.Node.DeployInterface = own
	delete(t.Node.DriverInternalInfo, keyOriginalDeploy)
	return true
}
