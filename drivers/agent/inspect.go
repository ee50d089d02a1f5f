package agent

import (
	"context"
	"errors"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/store"
)

// Inspect is the inspect interface agent: the machine boots a ramdisk, which tells ironic-api what it finds.
type Inspect struct {
	inspectionBoot
	hooks *inspection.Hooks
}

// NewInspect returns the inspect interface agent.
func NewInspect(cfg Config, icfg InspectConfig, hooks *inspection.Hooks, keep inspection.Store) *Inspect {
	return &Inspect{inspectionBoot{cfg, icfg, keep}, hooks}
}

// InspectHardware boots the ramdisk. What it does it may do again.
func (i *Inspect) InspectHardware(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	managed, err := i.begin(ctx, t, true)
	if err != nil {
		return drivers.Done, err
	}
	begin, abandon := i.beginManaged, i.removeRamdisk
	if !managed {
		begin, abandon = i.beginUnmanaged, nil
	}
	if err := begin(ctx, t); err != nil {
		return drivers.Done, i.notBegun(ctx, t, err, abandon)
	}
	return drivers.Waiting, nil
}

// beginManaged boots the ramdisk by the node's boot interface.
func (i *Inspect) beginManaged(ctx context.Context, t *drivers.Task) error {
	if err := i.prepareManaged(ctx, t, callback(i.cfg.APIURL)); err != nil {
		return err
	}
	return i.switchOn(ctx, t)
}

// callback is where a ramdisk tells what it found.
func callback(api string) string {
	return strings.TrimSuffix(strings.TrimRight(api, "/"), "/v1") + "/v1/continue_inspection"
}

// beginUnmanaged boots the machine from its network, where somebody else has a ramdisk for it.
func (i *Inspect) beginUnmanaged(ctx context.Context, t *drivers.Task) error {
	if canPowerOff(t) {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if err := drivers.SetBootDevice(ctx, t, store.BootDevicePXE, false); err != nil {
		return err
	}
	return i.switchOn(ctx, t)
}

// ContinueInspection lets the hooks work on what the ramdisk found, and takes the ramdisk away.
func (i *Inspect) ContinueInspection(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict) error {
	if err := i.hooks.Run(ctx, t, inventory, pluginData); err != nil {
		if errors.Is(err, store.ErrLockLost) || ctx.Err() != nil {
			return err
		}
		i.keepLogs(t, pluginData, true)
		if i.icfg.CleansUp {
			i.removeRamdisk(ctx, t, false)
			err = store.Errorf(store.HardwareInspectionFailure,
				"Failed to inspect hardware. Reason: failed to run inspection hooks: %w", err)
		}
		return err
	}
	i.keepLogs(t, pluginData, false)
	return i.cleanUp(ctx, t, true)
}

// AbortInspection takes the ramdisk away.
func (i *Inspect) AbortInspection(ctx context.Context, t *drivers.Task) error {
	delete(internalInfo(t.Node), keyLookup)
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return i.cleanUp(ctx, t, true)
}

// keepLogs writes the logs that came with the findings into a file, as [agent]deploy_logs_collect has it.
func (i *Inspect) keepLogs(t *drivers.Task, pluginData store.Dict, failed bool) {
	if !failed && i.cfg.Logs.Collect != CollectAlways {
		return
	}
	logs := pluginData.String("logs")
	if logs == "" {
		t.Log.Warn().Msg("The ramdisk sent no logs")
		return
	}
	path, err := i.cfg.Logs.keep(t.Node, logs, "inspect")
	if err != nil {
		t.Log.Error().Err(err).Msg("keeping the ramdisk's logs")
		return
	}
	t.Log.Info().Str("path", path).Msg("the ramdisk's logs are kept")
}

var _ drivers.Inspect = (*Inspect)(nil)
