package agent

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info that belong to an inspection under way.
const (
	// keyManagesBoot tells whether this conductor boots the ramdisk, or an environment that it does not know.
	keyManagesBoot = "inspector_manage_boot"
	// keyLookup holds the addresses of the BMC, by which ironic-api finds the node that a ramdisk is in.
	keyLookup = "lookup_bmc_addresses"
)

// InspectConfig are the options of [inspector] about the ramdisk.
type InspectConfig struct {
	// KernelParameters go onto the ramdisk's command line.
	KernelParameters map[string]string
	// RequireManagedBoot refuses nodes that this conductor cannot boot.
	RequireManagedBoot bool
	// PreCreatePorts gives the cards that the BMC knows their ports before the ramdisk boots.
	PreCreatePorts bool
	// PowerOff switches the machine off at the end.
	PowerOff bool
	// CleansUp takes the ramdisk away again when the findings are not to be used, as since 29.0.
	CleansUp bool
}

// Inspect is the inspect interface agent: the machine boots a ramdisk, which tells ironic-api what it finds.
type Inspect struct {
	drivers.BareInspect
	cfg   Config
	icfg  InspectConfig
	hooks *inspection.Hooks
	keep  inspection.Store
}

// NewInspect returns the inspect interface agent.
func NewInspect(cfg Config, icfg InspectConfig, hooks *inspection.Hooks, keep inspection.Store) *Inspect {
	return &Inspect{cfg: cfg, icfg: icfg, hooks: hooks, keep: keep}
}

// Properties are none.
func (*Inspect) Properties() map[string]string { return map[string]string{} }

// Steps offers none.
func (*Inspect) Steps(drivers.StepKind) []drivers.Step { return nil }

// Validate refuses a node that this conductor can't boot, where it has to.
func (i *Inspect) Validate(ctx context.Context, t *drivers.Task) error {
	if !i.icfg.RequireManagedBoot {
		return nil
	}
	return managesBoot(ctx, t)
}

// managesBoot is the reason why this conductor can't boot the node's ramdisk, nil when it can.
func managesBoot(ctx context.Context, t *drivers.Task) error {
	boot, ok := t.Hardware.Boot.(drivers.InspectionBoot)
	if !ok {
		return drivers.Unsupported(t, "validate_inspection")
	}
	if err := boot.ValidateInspection(ctx, t); err != nil {
		return err
	}
	return t.Hardware.Network.ValidateInspection(ctx, t)
}

// InspectHardware boots the ramdisk. What it does it may do again.
func (i *Inspect) InspectHardware(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if err := i.createKnownPorts(ctx, t); err != nil {
		return drivers.Done, err
	}
	refusal := managesBoot(ctx, t)
	if refusal != nil && (i.icfg.RequireManagedBoot || store.KindOf(refusal) != store.UnsupportedDriverExtension) {
		return drivers.Done, refusal
	}
	info := internalInfo(t.Node)
	info[keyManagesBoot] = refusal == nil
	delete(info, keyLookup)
	if addresses := bmcAddresses(ctx, t); len(addresses) > 0 {
		info[keyLookup] = addresses
	}
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	begin, abandon := i.beginManaged, i.removeRamdisk
	if refusal != nil {
		begin, abandon = i.beginUnmanaged, nil
	}
	if err := begin(ctx, t); err != nil {
		return drivers.Done, i.notBegun(ctx, t, err, abandon)
	}
	return drivers.Waiting, nil
}

// notBegun takes back what a beginning that failed had prepared. What ended with the worker or its lock is left for whoever goes on.
func (i *Inspect) notBegun(ctx context.Context, t *drivers.Task, err error, abandon func(context.Context, *drivers.Task, bool) []string) error {
	if errors.Is(err, store.ErrLockLost) || ctx.Err() != nil {
		return err
	}
	if abandon != nil {
		abandon(ctx, t, false)
	}
	return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: unable to start inspection: %w", err)
}

// createKnownPorts gives the cards that the BMC knows their ports, where it can tell.
func (i *Inspect) createKnownPorts(ctx context.Context, t *drivers.Task) error {
	bmc, ok := t.Hardware.Management.(drivers.Enumerating)
	if !ok || !i.icfg.PreCreatePorts {
		return nil
	}
	addresses, err := bmc.MACAddresses(ctx, t)
	if store.KindOf(err) == store.UnsupportedDriverExtension {
		return nil
	}
	if err != nil {
		return err
	}
	return inspection.CreatePorts(ctx, t, i.keep, addresses)
}

// beginManaged boots the ramdisk by the node's boot interface.
func (i *Inspect) beginManaged(ctx context.Context, t *drivers.Task) error {
	parameters := maps.Clone(i.icfg.KernelParameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	parameters["ipa-inspection-callback-url"] = callback(i.cfg.APIURL)
	fast, err := i.cfg.fastTrackEnabled(t.Node)
	if err != nil {
		return err
	}
	if fast {
		parameters["ipa-api-url"] = i.cfg.APIURL
	}
	if canPowerOff(t) {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if err := drivers.Rewire(ctx, t, t.Hardware.Network.AddInspectionNetwork); err != nil {
		return err
	}
	if err := t.Hardware.Boot.PrepareRamdisk(ctx, t, parameters); err != nil {
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

func (i *Inspect) switchOn(ctx context.Context, t *drivers.Task) error {
	if canPowerOff(t) {
		return t.Worker.SetPower(ctx, t, store.PowerOn)
	}
	return t.Worker.SetPower(ctx, t, store.Reboot)
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
	return i.cleanUp(ctx, t)
}

// AbortInspection takes the ramdisk away.
func (i *Inspect) AbortInspection(ctx context.Context, t *drivers.Task) error {
	delete(internalInfo(t.Node), keyLookup)
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return i.cleanUp(ctx, t)
}

func (i *Inspect) cleanUp(ctx context.Context, t *drivers.Task) error {
	problems := i.removeRamdisk(ctx, t, true)
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &drivers.RamdiskLeft{Problems: problems}
	}
	return nil
}

// removeRamdisk undoes what beginManaged did, and switches the machine off; anyway tells to do that as well where somebody else booted
// it. It goes on after a failure and returns what did not work.
func (i *Inspect) removeRamdisk(ctx context.Context, t *drivers.Task, anyway bool) []string {
	var problems []string
	note := func(what string, err error) {
		if err != nil {
			t.Log.Error().Err(err).Msg("After an inspection: " + what)
			problems = append(problems, what+": "+err.Error())
		}
	}
	info := internalInfo(t.Node)
	managed := info.Bool(keyManagesBoot, false)
	delete(info, keyManagesBoot)
	if managed {
		note("unable to clean up ramdisk boot", t.Hardware.Boot.CleanUpRamdisk(ctx, t))
		note("unable to remove inspection ports", drivers.Rewire(ctx, t, t.Hardware.Network.RemoveInspectionNetwork))
	}
	fast, err := i.cfg.fastTrackEnabled(t.Node)
	if err == nil && (fast || !i.icfg.PowerOff || !managed && !anyway) {
		return problems
	}
	if canPowerOff(t) {
		note("unable to power off the node", t.Worker.SetPower(ctx, t, store.PowerOff))
	} else {
		note("unable to reboot the node", t.Worker.SetPower(ctx, t, store.Reboot))
	}
	return problems
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
