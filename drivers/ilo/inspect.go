package ilo

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Inspect is the inspect interface ilo: the iLO tells what the machine is made of, which has to run for it.
type Inspect struct {
	base
	drivers.BareInspect
	// countsCPUs has properties tell how many processors there are, as before ironic 22.1.
	countsCPUs bool
	keep       inspection.Store
}

// NewInspect returns the inspect interface ilo.
func NewInspect(c *redfish.Client, cfg Config, countsCPUs bool, keep inspection.Store) *Inspect {
	return &Inspect{base: newBase(c, cfg), countsCPUs: countsCPUs, keep: keep}
}

// snmpProperties are ironic's, of Gen8 machines. Nothing here reads them.
var snmpProperties = map[string]string{
	"snmp_auth_user":          "User for SNMPv3. Required for SNMP inspection",
	"snmp_auth_prot_password": "Authentication Protocol Passphrase. Required for SNMP inspection",
	"snmp_auth_priv_password": "Authentication Privacy Passphrase. Required for SNMP inspection",
	"snmp_auth_protocol": "Authentication Protocol. Optional, used for SNMP inspection. If not specified, the default value as 'MD5' " +
		"is used.",
	"snmp_auth_priv_protocol": "Privacy Protocol. Optional, used for SNMP inspection. If not specified, the default value as 'DES' " +
		"is used.",
}

// Properties describes how a node names its iLO.
func (*Inspect) Properties() map[string]string {
	all := maps.Clone(requiredProperties)
	maps.Copy(all, snmpProperties)
	return all
}

// Validate checks driver_info.
func (i *Inspect) Validate(_ context.Context, t *drivers.Task) error { return i.bmcs.Validate(t.Node) }

// Steps offers none.
func (*Inspect) Steps(drivers.StepKind) []drivers.Step { return nil }

// InspectHardware reads everything first, and changes the node when all that it must have was found.
func (i *Inspect) InspectHardware(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	state, err := t.Hardware.Power.PowerState(ctx, t)
	if store.KindOf(err) == store.IloOperationError {
		err = operationFailed("Inspecting hardware (get_power_state) on "+t.Node.UUID, err.Error())
	}
	if err != nil {
		return drivers.Done, err
	}
	return drivers.Done, inspection.WhileOn(ctx, t, state, nil, func() error { return i.inspect(ctx, t) })
}

func inspectionFailed(text string) error {
	return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: %s", text)
}

func (i *Inspect) inspect(ctx context.Context, t *drivers.Task) error {
	var found redfish.Essentials
	var more extras
	err := i.bmcs.Do(ctx, t, "Inspecting hardware", func(s *redfish.System) (err error) {
		if found, err = s.Essentials(); err != nil {
			return err
		}
		more, err = i.readExtras(s, t)
		more.noteDrives(found.Drives)
		found.LargestDisk = max(found.LargestDisk, more.largestDisk)
		return err
	})
	if store.KindOf(err) == store.IloOperationError {
		err = inspectionFailed(err.Error())
	}
	if err == nil {
		err = i.tell(t, found, more)
	}
	if err == nil {
		err = t.Worker.Save(ctx, t)
	}
	if err != nil {
		return err
	}
	return inspection.CreatePorts(ctx, t, i.keep, found.Cards)
}

// tell writes into the node's properties what was found.
func (i *Inspect) tell(t *drivers.Task, found redfish.Essentials, more extras) error {
	values := store.Dict{"local_gb": max(0, found.LargestDisk>>30-1)}
	if found.MemoryMB > 0 {
		values["memory_mb"] = found.MemoryMB
	}
	if found.Architecture != "" {
		values["cpu_arch"] = found.Architecture
	}
	if i.countsCPUs && found.Threads > 0 {
		values["cpus"] = found.Threads
	}
	essential := []string{"cpu_arch", "local_gb", "memory_mb"}
	if i.countsCPUs {
		essential = append(essential, "cpus")
	}
	missing := slices.DeleteFunc(essential, func(key string) bool { _, known := values[key]; return known })
	if len(missing) > 0 {
		return inspectionFailed("Server didn't return the key(s): " + strings.Join(missing, ", "))
	}
	if len(found.Cards) == 0 {
		return inspectionFailed("The node " + t.Node.UUID + " didn't return 'macs' as the key with inspection.")
	}
	if size, known, err := t.Node.Properties.Int("local_gb"); err == nil && known && size > 0 && found.LargestDisk == 0 {
		values["local_gb"] = size
		t.Log.Warn().Msg("The iLO does not tell how large the machine's disks are; properties.local_gb stays as it is")
	}
	properties := t.Node.Properties.Clone()
	if properties == nil {
		properties = store.Dict{}
	}
	maps.Copy(properties, values)
	t.Node.Properties = properties
	for _, name := range slices.Sorted(maps.Keys(more.capabilities)) {
		properties["capabilities"] = drivers.WithCapability(t.Node, name, more.capabilities[name])
	}
	if more.security != nil {
		properties["security_parameters"] = more.security
	}
	return nil
}

var _ drivers.Inspect = (*Inspect)(nil)
