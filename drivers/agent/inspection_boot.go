package agent

import (
	"context"
	"errors"
	"maps"

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

// lldpParameter has the ramdisk collect what switches say of themselves.
const lldpParameter = "ipa-collect-lldp"

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
	// ForceDHCP has the ramdisk ask on all network cards, and tell what their switches say.
	ForceDHCP bool
	// CleansUp takes the ramdisk away again when the findings are not to be used, as since 29.0.
	CleansUp bool
}

// inspectionBoot is what inspect interfaces with a ramdisk have in common: this conductor boots it, where it can.
type inspectionBoot struct {
	cfg  Config
	icfg InspectConfig
	keep inspection.Store
}

// Properties are none.
func (*inspectionBoot) Properties() map[string]string { return map[string]string{} }

// Steps offers none.
func (*inspectionBoot) Steps(drivers.StepKind) []drivers.Step { return nil }

// Validate refuses a node that this conductor can't boot, where it has to.
func (i *inspectionBoot) Validate(ctx context.Context, t *drivers.Task) error {
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

// createKnownPorts gives the cards that the BMC knows their ports, where it can tell.
func (i *inspectionBoot) createKnownPorts(ctx context.Context, t *drivers.Task) error {
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

// notBegun takes back what a beginning that failed had prepared. What ended with the worker or its lock is left for whoever goes on.
func (i *inspectionBoot) notBegun(ctx context.Context, t *drivers.Task, err error, abandon func(context.Context, *drivers.Task, bool) []string) error {
	if errors.Is(err, store.ErrLockLost) || ctx.Err() != nil {
		return err
	}
	if abandon != nil {
		abandon(ctx, t, false)
	}
	return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: unable to start inspection: %w", err)
}

// begin gives the node what every inspection begins with, and tells whether this conductor boots its ramdisk. lookup keeps the BMC's
// addresses for ironic-api.
func (i *inspectionBoot) begin(ctx context.Context, t *drivers.Task, lookup bool) (managed bool, err error) {
	if err := i.createKnownPorts(ctx, t); err != nil {
		return false, err
	}
	refusal := managesBoot(ctx, t)
	if refusal != nil && (i.icfg.RequireManagedBoot || store.KindOf(refusal) != store.UnsupportedDriverExtension) {
		return false, refusal
	}
	info := internalInfo(t.Node)
	info[keyManagesBoot] = refusal == nil
	delete(info, keyLookup)
	if lookup {
		if addresses := bmcAddresses(ctx, t); len(addresses) > 0 {
			info[keyLookup] = addresses
		}
	}
	return refusal == nil, t.Worker.Save(ctx, t)
}

// prepareManaged makes the machine, which it switches off, boot the ramdisk by the node's boot interface at its next start. The ramdisk
// tells what it finds at callback.
func (i *inspectionBoot) prepareManaged(ctx context.Context, t *drivers.Task, callback string) error {
	parameters := maps.Clone(i.icfg.KernelParameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	parameters["ipa-inspection-callback-url"] = callback
	if _, given := parameters[lldpParameter]; i.icfg.ForceDHCP && !given {
		parameters[lldpParameter] = "1"
	}
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
	return t.Hardware.Boot.PrepareRamdisk(ctx, t, parameters)
}

func (i *inspectionBoot) switchOn(ctx context.Context, t *drivers.Task) error {
	if canPowerOff(t) {
		return t.Worker.SetPower(ctx, t, store.PowerOn)
	}
	return t.Worker.SetPower(ctx, t, store.Reboot)
}

func (i *inspectionBoot) cleanUp(ctx context.Context, t *drivers.Task, anyway bool) error {
	problems := i.removeRamdisk(ctx, t, anyway)
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &drivers.RamdiskLeft{Problems: problems}
	}
	return nil
}

// removeRamdisk undoes what prepareManaged did, and switches the machine off; anyway tells to do that as well where somebody else booted
// it. It goes on after a failure and returns what did not work.
//
// Crash window: that this conductor boots the ramdisk is forgotten last, so that whoever goes on does all of it.
func (i *inspectionBoot) removeRamdisk(ctx context.Context, t *drivers.Task, anyway bool) []string {
	var problems []string
	note := func(what string, err error) {
		if err != nil {
			t.Log.Error().Err(err).Msg("After an inspection: " + what)
			problems = append(problems, what+": "+err.Error())
		}
	}
	managed := internalInfo(t.Node).Bool(keyManagesBoot, false)
	defer func() { delete(internalInfo(t.Node), keyManagesBoot) }()
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
