package agent

import (
	"context"
	"maps"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareCleaning boots the agent on the cleaning network, or uses the one that runs.
func (d *Deploy) PrepareCleaning(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if err := drivers.Rewire(ctx, t, t.Hardware.Network.AddCleaningNetwork); err != nil {
		return drivers.Done, err
	}
	d.tellEraseOptions(t.Node)
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	if err := d.cfg.prepareRamdisk(ctx, t); err != nil {
		return drivers.Done, err
	}
	// Preparing the ramdisk may have switched the node off, so only now is it clear whether an agent still runs.
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	if running {
		return drivers.Done, d.RefreshSteps(ctx, t, drivers.CleanStep)
	}
	if err := t.Worker.SetPower(ctx, t, store.Reboot); err != nil {
		return drivers.Done, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the agent to boot", Waiting: true})
	return drivers.Waiting, nil
}

// tellEraseOptions writes the options that an agent reads from driver_internal_info.
func (d *Deploy) tellEraseOptions(n *store.Node) {
	e := d.cfg.Erase
	maps.Copy(internalInfo(n), store.Dict{
		"agent_erase_devices_iterations":        e.Iterations,
		"agent_erase_devices_zeroize":           e.Zeroize,
		"agent_continue_if_secure_erase_failed": e.ContinueIfSecureFail,
		// Agents before Xena read this name.
		"agent_continue_if_ata_erase_failed": e.ContinueIfSecureFail,
		"agent_enable_nvme_secure_erase":     e.NVMeSecure,
		"agent_enable_ata_secure_erase":      e.ATASecure,
		"disk_erasure_concurrency":           e.Concurrency,
		"agent_erase_skip_read_only":         e.SkipReadOnly,
	})
}

// TearDownCleaning switches the node off, unless an agent is to stay or a failure is to be looked at, and takes away the
// ramdisk and the network.
func (d *Deploy) TearDownCleaning(ctx context.Context, t *drivers.Task) error {
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return err
	}
	if !running && t.Node.Fault != store.FaultClean {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if d.cfg.ManageBoot {
		if err := t.Hardware.Boot.CleanUpRamdisk(ctx, t); err != nil {
			return err
		}
	}
	return drivers.Rewire(ctx, t, t.Hardware.Network.RemoveCleaningNetwork)
}
