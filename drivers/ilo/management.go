package ilo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Management is the management interface ilo.
type Management struct {
	base
	drivers.BareManagement
}

// NewManagement returns the management interface ilo.
func NewManagement(c *redfish.Client, cfg Config) *Management {
	return &Management{base: newBase(c, cfg)}
}

// Management5 is the management interface ilo5.
type Management5 struct{ *Management }

// NewManagement5 returns the management interface ilo5.
func NewManagement5(c *redfish.Client, cfg Config) *Management5 {
	return &Management5{NewManagement(c, cfg)}
}

// Steps are those of ilo, and in cleaning those that iLO 5 alone has.
func (m *Management5) Steps(kind drivers.StepKind) []drivers.Step {
	steps := m.Management.Steps(kind)
	if kind == drivers.CleanStep {
		steps = append(steps, m.eraseStep(), m.wipeStep(), m.clearCAStep())
	}
	return steps
}

// UnderWay tells whether drives are erased or firmware is updated.
func (m *Management5) UnderWay(n *store.Node) bool { return m.erasing(n) || m.Management.UnderWay(n) }

// Poll looks how the running step stands.
func (m *Management5) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	if m.erasing(t.Node) {
		return m.pollErasing(ctx, t)
	}
	return m.Management.Poll(ctx, t)
}

// Discard forgets what was to come.
func (m *Management5) Discard(ctx context.Context, t *drivers.Task) error {
	forgetErasing(t.Node)
	return m.Management.Discard(ctx, t)
}

// Properties describes how a node names its iLO, and what the clean steps read.
func (*Management) Properties() map[string]string {
	all := maps.Clone(requiredProperties)
	maps.Copy(all, cleanProperties)
	return all
}

// Validate checks driver_info.
func (m *Management) Validate(_ context.Context, t *drivers.Task) error {
	return m.bmcs.Validate(t.Node)
}

// bootDevices are the boot devices of iLO machines with their Redfish names, in ironic's order.
var bootDevices = []struct {
	name   string
	target schemas.BootSource
}{
	{store.BootDevicePXE, schemas.PxeBootSource},
	{store.BootDeviceDisk, schemas.HddBootSource},
	{store.BootDeviceCDROM, schemas.CdBootSource},
	{bootDeviceISCSI, schemas.UefiTargetBootSource},
}

// bootDeviceISCSI is ironic's boot device for a volume.
const bootDeviceISCSI = "iscsiboot"

// SupportedBootDevices are those that an iLO knows.
func (*Management) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	var names []string
	for _, d := range bootDevices {
		names = append(names, d.name)
	}
	return names, nil
}

// BootDevice is the device of the next start, or else the one for good: what overrides the boot order, or with UEFI its first entry.
func (m *Management) BootDevice(ctx context.Context, t *drivers.Task) (device drivers.BootDevice, err error) {
	err = m.bmcs.Do(ctx, t, "Get boot device", func(s *redfish.System) error {
		persistent := s.Boot.BootSourceOverrideEnabled != schemas.OnceBootSourceOverrideEnabled
		target := s.Boot.BootSourceOverrideTarget
		if persistent && s.Boot.BootSourceOverrideEnabled != schemas.ContinuousBootSourceOverrideEnabled {
			if target, err = firstInOrder(s); err != nil {
				return err
			}
		}
		for _, d := range bootDevices {
			if d.target == target && (!persistent || d.name != bootDeviceISCSI) {
				device = drivers.BootDevice{Device: d.name, Persistent: &persistent}
			}
		}
		return nil
	})
	return device, err
}

// inBootString are the words by which an entry of the boot order tells what it is.
var inBootString = []struct {
	words  []string
	target schemas.BootSource
}{
	{[]string{"HPE Virtual CD-ROM", "HP iLO Virtual USB CD"}, schemas.CdBootSource},
	{[]string{"NIC", "PXE", "iSCSI", "ISCSI"}, schemas.PxeBootSource},
	{[]string{"Logical Drive", "HDD", "Storage", "LogVol"}, schemas.HddBootSource},
}

// firstInOrder is the kind of the first entry of the boot order, "" when it is of none that ironic knows. With BIOS the iLO does not
// tell the order.
func firstInOrder(s *redfish.System) (schemas.BootSource, error) {
	f, err := readFirmware(s)
	var none *noFirmware
	if errors.As(err, &none) || err == nil && (f.mode() != store.BootModeUEFI || f.boot == "") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var order struct {
		BootSources               []struct{ BootString, StructuredBootString string }
		PersistentBootConfigOrder []string
	}
	if err := s.Read(f.boot, &order); err != nil {
		return "", err
	}
	if len(order.BootSources) == 0 || len(order.PersistentBootConfigOrder) == 0 {
		return "", reason("Boot sources or persistent boot config order not found")
	}
	for _, source := range order.BootSources {
		if source.StructuredBootString != order.PersistentBootConfigOrder[0] {
			continue
		}
		for _, kind := range inBootString {
			if slices.ContainsFunc(kind.words, func(word string) bool { return strings.Contains(source.BootString, word) }) {
				return kind.target, nil
			}
		}
		return "", nil
	}
	return "", reason("Persistent boot device failed, as no matched boot sources found for device: " +
		order.PersistentBootConfigOrder[0])
}

// SetBootDevice sets what the machine boots from, once or for good.
func (m *Management) SetBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	at := slices.IndexFunc(bootDevices, func(d struct {
		name   string
		target schemas.BootSource
	}) bool {
		return d.name == device
	})
	if at < 0 {
		return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified.", device)
	}
	return m.bmcs.Do(ctx, t, "Setting "+device+" as boot device", func(s *redfish.System) error {
		return setBoot(s, bootDevices[at].target, persistent)
	})
}

// setBoot overrides the boot order. A volume has to be chosen among the UEFI targets first.
func setBoot(s *redfish.System, target schemas.BootSource, persistent bool) error {
	if target == schemas.UefiTargetBootSource {
		if err := chooseVolume(s); err != nil {
			return err
		}
	}
	enabled := schemas.OnceBootSourceOverrideEnabled
	if persistent {
		enabled = schemas.ContinuousBootSourceOverrideEnabled
	}
	return s.Change(systemID, map[string]any{"Boot": map[string]any{
		"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled}})
}

func chooseVolume(s *redfish.System) error {
	at := slices.IndexFunc(s.Boot.AllowableUefiTargetBootSourceOverrideValues, func(path string) bool {
		return strings.Contains(path, "iSCSI")
	})
	if at < 0 {
		return reason("No UEFI iSCSI bootable device found on system.")
	}
	return s.Change(systemID, map[string]any{"Boot": map[string]any{
		"UefiTargetBootSourceOverride": s.Boot.AllowableUefiTargetBootSourceOverrideValues[at]}})
}

// InjectNMI sends a non-maskable interrupt to a machine that is on.
func (m *Management) InjectNMI(ctx context.Context, t *drivers.Task) error {
	return m.bmcs.Do(ctx, t, "Injecting NMI for node "+t.Node.UUID, func(s *redfish.System) error {
		if s.PowerState != schemas.OnPowerState {
			return reason("Server is not in powered on state.")
		}
		return s.ResetTo(schemas.NmiResetType)
	})
}

// Sensors reads all sensors.
func (m *Management) Sensors(ctx context.Context, t *drivers.Task) (drivers.SensorData, error) {
	return m.cfg.Sensing.Sensors(ctx, t)
}

var (
	_ drivers.Management = (*Management5)(nil)
	_ drivers.Polled     = (*Management5)(nil)
	_ drivers.Sensing    = (*Management5)(nil)
)
