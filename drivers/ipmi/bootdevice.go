package ipmi

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// bootSelectors are the boot devices in byte 2 of the boot flags (IPMI 2.0, table 28-14).
var bootSelectors = map[string]byte{store.BootDevicePXE: 0x04, store.BootDeviceDisk: 0x08, store.BootDeviceCDROM: 0x14,
	store.BootDeviceBIOS: 0x18, store.BootDeviceSafe: 0x0c}

// selectorBits are those of byte 2 that hold the device.
const selectorBits = 0x3c

// supermicroUEFIDisk is how Supermicro's BMCs know the disk of a machine in UEFI mode.
const supermicroUEFIDisk = 0x24

// SupportedBootDevices are those that IPMI has a word for.
func (*Management) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	return []string{store.BootDevicePXE, store.BootDeviceDisk, store.BootDeviceCDROM, store.BootDeviceBIOS, store.BootDeviceSafe}, nil
}

// BootDevice reads the boot flags. A device that ironic has no word for is "".
func (m *Management) BootDevice(ctx context.Context, t *drivers.Task) (drivers.BootDevice, error) {
	to, err := m.target(t)
	if err != nil {
		return drivers.BootDevice{}, err
	}
	info := t.Node.DriverInternalInfo
	if kept := info.String(keyBootDevice); to.forceBootDevice && kept != "" && info.Bool(keyBootPersistently, true) {
		persistent := true
		return drivers.BootDevice{Device: kept, Persistent: &persistent}, nil
	}
	r, err := m.client.run(ctx, t, to, getBootFlags())
	if err != nil {
		return drivers.BootDevice{}, err
	}
	if r.data != nil {
		return bootFlags(r.data), nil
	}
	return bootFlagsText(r.text), nil
}

// bootFlags reads the answer of Get System Boot Options for the boot flags: version, parameter and five bytes.
func bootFlags(data []byte) drivers.BootDevice {
	persistent := len(data) > 2 && data[2]&0x40 != 0
	d := drivers.BootDevice{Persistent: &persistent}
	if len(data) < 4 {
		return d
	}
	for _, device := range slices.Sorted(maps.Keys(bootSelectors)) {
		if data[3]&selectorBits == bootSelectors[device] {
			d.Device = device
		}
	}
	return d
}

var bootSelector = regexp.MustCompile(`Boot Device Selector : (.*)`)

// bootFlagsText reads what ipmitool makes of the boot flags.
func bootFlagsText(text string) drivers.BootDevice {
	persistent := strings.Contains(text, "Options apply to all future boots")
	d := drivers.BootDevice{Persistent: &persistent}
	found := bootSelector.FindStringSubmatch(text)
	if found == nil {
		return d
	}
	for _, one := range []struct{ words, device string }{{"PXE", store.BootDevicePXE}, {"Safe-Mode", store.BootDeviceSafe},
		{"Hard-Drive", store.BootDeviceDisk}, {"BIOS", store.BootDeviceBIOS}, {"CD/DVD", store.BootDeviceCDROM}} {
		if strings.Contains(found[1], one.words) {
			d.Device = one.device
			break
		}
	}
	return d
}

// noBootTimeout keeps the boot flags valid for longer than the 60 seconds that the specification gives them.
const noBootTimeout = "0x00 0x08 0x03 0x08"

// SetBootDevice sets what the machine boots from, once or for good.
func (m *Management) SetBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	if _, known := bootSelectors[device]; !known {
		return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified.", device)
	}
	to, err := m.target(t)
	if err != nil {
		return err
	}
	mode, err := drivers.BootMode(t.Node, m.client.cfg.BootMode)
	if err != nil {
		return err
	}
	if t.Node.DriverInfo.Bool("ipmi_disable_boot_timeout", m.client.cfg.DisableBootTimeout) {
		if err := m.raw(ctx, t, to, noBootTimeout); err != nil {
			return err
		}
	}
	if to.forceBootDevice {
		if err := keepBootDevice(ctx, t, device, persistent); err != nil {
			return err
		}
		persistent = false
	}
	if mode == store.BootModeUEFI {
		return m.raw(ctx, t, to, uefiBootFlags(t.Node, device, persistent))
	}
	_, err = m.client.run(ctx, t, to, setBootFlags(device, persistent))
	return err
}

// uefiBootFlags are the boot flags for a machine in UEFI mode. ipmitool's own words for them miss on old versions, and on BMCs
// with numbers of their own.
func uefiBootFlags(n *store.Node, device string, persistent bool) string {
	valid, selector := 0xa0, bootSelectors[device]
	if persistent {
		valid = 0xe0
	}
	if device == store.BootDeviceDisk && strings.EqualFold(n.Properties.String("vendor"), "supermicro") {
		selector = supermicroUEFIDisk
	}
	return fmt.Sprintf("0x00 0x08 0x05 0x%02x 0x%02x 0x00 0x00 0x00", valid, selector)
}

func (m *Management) raw(ctx context.Context, t *drivers.Task, to target, text string) error {
	c, err := rawCommand(text)
	if err != nil {
		return err
	}
	_, err = m.client.run(ctx, t, to, c)
	return err
}

// keepBootDevice remembers, for the next start, what the BMC does not.
func keepBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	if persistent {
		delete(t.Node.DriverInternalInfo, keyBootPersistently)
		t.Node.DriverInternalInfo[keyBootDevice] = device
	} else {
		t.Node.DriverInternalInfo[keyBootPersistently] = false
	}
	return t.Worker.Save(ctx, t)
}
